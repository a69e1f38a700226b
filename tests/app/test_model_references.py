"""References are resolved off the event loop, and remembered for a moment."""

import asyncio
import threading
import time
from typing import Any

import pytest

from flawsmith.app import model_references
from flawsmith.app.model_references import ModelReferences
from flawsmith.core.store.registry import UnknownModel


class StallingRegistry:
    """A registry on a file system that can stall. Its versions are numbers."""

    def __init__(self) -> None:
        self.changes, self.newest, self.looks = 0, 1, 0
        self.answers = threading.Event()
        self.answers.set()

    def resolve(self, reference: str) -> Any:
        self.looks += 1
        assert self.answers.wait(20)
        if reference == "unknown":
            raise UnknownModel("there is no model 'unknown'")
        return self.newest

    def withdrawn(self, version: Any) -> dict[str, str]:
        return {}

    def quality_floor(self, version: Any) -> None:
        return None

    def version(self, model: str, number: str) -> Any:
        raise UnknownModel(f"{model} has no version {number}")


@pytest.fixture
def registry() -> StallingRegistry:
    return StallingRegistry()


@pytest.fixture
def references(registry: StallingRegistry) -> ModelReferences:
    return ModelReferences(registry)  # type: ignore[arg-type]


def test_a_stalled_file_system_holds_up_only_who_asks_for_it(
    registry: StallingRegistry, references: ModelReferences, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_references, "REMEMBERED_SECONDS", 30.0)

    async def scenario() -> None:
        known = await references.resolve("known")
        registry.answers.clear()
        stalled = [asyncio.create_task(references.resolve("stalled")) for _ in range(100)]
        await asyncio.sleep(0)
        assert await references.resolve("known") == known
        assert not any(each.done() for each in stalled)
        registry.answers.set()
        assert await asyncio.gather(*stalled) == [1] * 100

    asyncio.run(scenario())
    assert registry.looks == 2  # no thread for each of the hundred


def test_a_caller_who_leaves_does_not_end_the_look_of_the_others(
    registry: StallingRegistry, references: ModelReferences
) -> None:
    async def scenario() -> None:
        registry.answers.clear()
        first, second = (asyncio.create_task(references.resolve("m")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        registry.answers.set()
        assert await second == 1

    asyncio.run(scenario())


def test_a_change_of_another_process_shows_within_a_moment_and_an_own_one_at_once(
    registry: StallingRegistry, references: ModelReferences
) -> None:
    async def scenario() -> None:
        assert await references.resolve("m") == 1
        registry.newest = 2
        end = time.monotonic() + 5
        while await references.resolve("m") != 2:
            assert time.monotonic() < end
        registry.newest, registry.changes = 3, 1
        assert await references.resolve("m") == 3

    asyncio.run(scenario())


def test_what_is_unknown_is_not_remembered(registry: StallingRegistry, references: ModelReferences) -> None:
    async def scenario() -> None:
        for _ in range(2):
            with pytest.raises(UnknownModel):
                await references.resolve("unknown")
        with pytest.raises(UnknownModel):  # what an alias stands for changes, an image at an address never does
            await references.version("m", "production")

    asyncio.run(scenario())
    assert registry.looks == 2
