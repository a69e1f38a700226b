"""Published versions and their aliases."""

import time
from pathlib import Path

import pytest
from tests.published_versions import publish

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import SETTLED_NANOSECONDS, Registry, UnknownModel, VersionInUse


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(ArtifactStore(tmp_path))


def test_versions_count_up_and_the_bare_name_stands_for_the_newest(registry: Registry) -> None:
    assert [publish(registry, job).ref for job in ("job-1", "job-2")] == ["scratches@1", "scratches@2"]
    assert registry.resolve("scratches").version == 2
    assert registry.resolve("scratches@1").version == 1
    assert registry.weights("scratches", 1).read_bytes() == b"job-1"


def test_a_job_publishes_only_one_version(registry: Registry) -> None:
    assert publish(registry, "job-1") == publish(registry, "job-1")
    assert registry.model("scratches").versions == [1]


def test_the_bare_name_stands_for_the_alias_production_if_it_is_set(registry: Registry) -> None:
    for job in ("job-1", "job-2"):
        publish(registry, job)
    registry.set_alias("scratches", "production", 1)
    assert registry.resolve("scratches").version == registry.resolve("scratches@production").version == 1
    with pytest.raises(VersionInUse, match="production"):
        registry.delete_version("scratches", "1")
    registry.delete_alias("scratches", "production")
    assert registry.resolve("scratches").version == 2


def test_the_number_of_a_deleted_version_is_not_reused(registry: Registry) -> None:
    for job in ("job-1", "job-2"):
        publish(registry, job)
    registry.delete_version("scratches", "2")
    registry.delete_version("scratches", "1")
    with pytest.raises(UnknownModel):
        registry.model("scratches")
    assert publish(registry, "job-3").version == 3


@pytest.mark.parametrize(
    "reference", ["dents", "scratches@7", "scratches@staging", "scratches@", "../scratches", "scratches@1@1", ""]
)
def test_an_unknown_reference_is_refused(registry: Registry, reference: str) -> None:
    publish(registry, "job-1")
    with pytest.raises(UnknownModel):
        registry.resolve(reference)


def test_changes_by_another_process_are_seen_at_once(registry: Registry) -> None:
    """The registry keeps models in memory, but notices that their files have changed."""
    another = Registry(registry.store)
    for number in range(1, 6):
        publish(another, f"job-{number}")
        assert registry.resolve("scratches").version == number
        another.set_alias("scratches", "production", 1)
        assert registry.resolve("scratches").version == 1
        # The registry keeps a model only if its stamp is this old.
        time.sleep(2 * SETTLED_NANOSECONDS / 1e9)
        assert registry.resolve("scratches").version == 1
        another.set_alias("scratches", "production", number)
        assert registry.resolve("scratches").version == number
        another.delete_alias("scratches", "production")
        assert registry.resolve("scratches").version == number
    another.delete_version("scratches", "5")
    assert registry.resolve("scratches").version == 4
    with pytest.raises(UnknownModel):
        registry.resolve("scratches@5")
