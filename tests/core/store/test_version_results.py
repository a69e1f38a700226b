"""Results of published versions: evaluations and reports beside the version's folder."""

from pathlib import Path

import pytest
from tests.published_versions import publish

from flawsmith.core.store.artifacts import ArtifactStore, OutsideStore
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.registry import Registry
from flawsmith.core.store.version_results import EVALUATIONS, evaluations_of, results_folder, save_result

HURTS = {"verdict": "hurts", "repeats": 5}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(ArtifactStore(tmp_path))


def test_a_result_is_read_as_it_was_saved_and_replaced_by_a_later_one_of_its_name(registry: Registry) -> None:
    folder = registry.folder(publish(registry, "job-1"))
    assert evaluations_of(folder) == []
    for result in ({"verdict": "helps"}, HURTS):
        save_result(folder, EVALUATIONS, "evaluation-1", result, registry.store.write_bytes)
    save_result(folder, "reports", "report", {"leading": "distance"}, registry.store.write_bytes)
    assert evaluations_of(folder) == [HURTS]


def test_a_version_keeps_results_of_its_own_and_takes_them_along(registry: Registry) -> None:
    first, second = (registry.folder(publish(registry, job)) for job in ("job-1", "job-2"))
    save_result(first, EVALUATIONS, "evaluation-1", HURTS, registry.store.write_bytes)
    assert evaluations_of(second) == []
    registry.delete_version("scratches", "1")
    assert not results_folder(first).exists()
    with pytest.raises(FileNotFoundError):
        save_result(first, EVALUATIONS, "evaluation-2", HURTS, registry.store.write_bytes)
    assert evaluations_of(first) == []


def test_a_result_that_was_being_written_while_its_version_was_deleted_does_not_stay(registry: Registry) -> None:
    folder = registry.folder(publish(registry, "job-1"))

    def write_late(path: Path, data: bytes) -> None:
        registry.delete_version("scratches", "1")
        registry.store.write_bytes(path, data)

    with pytest.raises(FileNotFoundError):
        save_result(folder, EVALUATIONS, "evaluation-1", HURTS, write_late)
    assert not results_folder(folder).exists()


def test_a_worker_that_lost_its_claim_saves_nothing(registry: Registry, tmp_path: Path) -> None:
    folder = registry.folder(publish(registry, "job-1"))
    lost, held = (registry.store.claim(tmp_path / "claims") for _ in range(2))
    save_result(folder, EVALUATIONS, "evaluation-1", HURTS, held.write_bytes)
    with pytest.raises(ClaimLost):
        save_result(folder, EVALUATIONS, "evaluation-1", {"verdict": "helps"}, lost.write_bytes)
    assert evaluations_of(folder) == [HURTS]


@pytest.mark.parametrize("name", ["../evaluation-1", "", ".hidden", "a/b"])
def test_a_name_that_leads_elsewhere_is_refused(registry: Registry, name: str) -> None:
    folder = registry.folder(publish(registry, "job-1"))
    with pytest.raises(OutsideStore):
        save_result(folder, EVALUATIONS, name, HURTS, registry.store.write_bytes)
