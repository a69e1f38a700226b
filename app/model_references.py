"""Resolves model references for the event loop, which must not wait for the file system of the artifact store."""

import asyncio
import time
from typing import NamedTuple

from fastapi.concurrency import run_in_threadpool

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.registry import Registry
from flawsmith.core.store.withdrawals import Withdrawn

REMEMBERED_SECONDS = 0.05  # how late this process may notice a version or an alias that another process changed
MOST_REMEMBERED = 1000


class Served(NamedTuple):
    """A version, its addresses that were withdrawn, and its quality floor."""

    version: ModelVersion
    withdrawn: Withdrawn
    floor: float | None


class ModelReferences:
    """The versions that references such as ``scratches`` stand for; for a moment without a look at the files.

    What this process changes itself counts at once. A look runs in a thread, and all callers who ask for the same
    reference meanwhile wait for that one: a stalled network file system holds up these callers and nobody else.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._remembered: dict[str, tuple[float, int, Served]] = {}  # until when, the registry's changes then
        self._looks: dict[str, asyncio.Task[Served]] = {}

    async def resolve(self, reference: str) -> ModelVersion:
        """Raises UnknownModel."""
        return (await self.served(reference)).version

    async def served(self, reference: str) -> Served:
        """The version with its withdrawn addresses and its quality floor. Raises UnknownModel."""
        found = self._remembered.get(reference)
        if found and found[0] > time.monotonic() and found[1] == self.registry.changes:
            return found[2]
        look = self._looks.get(reference)
        if look is None:
            look = self._looks[reference] = asyncio.create_task(self._look(reference))
        return await asyncio.shield(look)

    async def version(self, model: str, number: str) -> Served:
        """One version by its number. Raises UnknownModel, for an alias as well."""
        if not number.isdecimal():
            await run_in_threadpool(self.registry.version, model, number)  # says which versions there are
        return await self.served(f"{model}@{number}")

    async def _look(self, reference: str) -> Served:
        changes = self.registry.changes
        try:
            served = await run_in_threadpool(self._read, reference)
        finally:
            del self._looks[reference]
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[reference] = (time.monotonic() + REMEMBERED_SECONDS, changes, served)
        return served

    def _read(self, reference: str) -> Served:
        version = self.registry.resolve(reference)
        floor = self.registry.quality_floor(version)
        return Served(version, self.registry.withdrawn(version), floor.score if floor else None)
