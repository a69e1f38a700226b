"""A comparison in the worker: versions whose samples are the test's, judged on photographs that it uploads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import torch
from tests.conftest import zipped
from tests.core.store import trees
from tests.models.pictures import blots, noise
from tests.published_versions import publish

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.job_kinds.comparison import new_comparison_job
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.domain.version_comparison import VersionComparison
from flawsmith.core.live.leases import Lease
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel
from flawsmith.core.store.version_comparisons import comparison_file
from flawsmith.worker import comparison
from flawsmith.worker.comparison_photographs import fitted, load_comparison_photographs, split
from flawsmith.worker.executor import Segment

BLOTS, NOISE = blots(100, 400), noise(400)


class FakeGenerator:
    """Its samples are pictures by their seeds."""

    def __init__(self, pictures: torch.Tensor) -> None:
        self.classes, self._pictures = ["pits"], pictures

    def sample_batch(self, addresses: Sequence[Address]) -> np.ndarray[Any, Any]:
        return self._pictures[[each.seed % len(self._pictures) for each in addresses]].permute(0, 2, 3, 1).numpy()


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """What the worker works with. Version 1 of each model makes blots, version 2 noise."""
    made = Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server / 'redis' / 'redis.sock'}"))
    monkeypatch.setattr(comparison, "services", lambda: made)
    monkeypatch.setattr(comparison, "device", lambda: torch.device("cpu"))
    samples = {1: BLOTS, 2: NOISE}
    monkeypatch.setattr(
        comparison, "load_sampler", lambda version, registry, device: FakeGenerator(samples[version.version])
    )
    return made


def uploaded(services: Services, tmp_path: Path, name: str, images: torch.Tensor) -> Dataset:
    files = {f"pits/{number}.png": trees.encoded(image[0].numpy()) for number, image in enumerate(images)}
    (tmp_path / f"{name}.zip").write_bytes(zipped(files))
    return services.datasets.add_archive(name, tmp_path / f"{name}.zip")[0]


def versions_on(services: Services, dataset: Dataset, **card: Any) -> tuple[ModelVersion, ModelVersion]:
    first, second = (
        publish(services.registry, f"job-{number}", classes=["pits"], dataset_digest=dataset.digest, **card)
        for number in (1, 2)
    )
    return first, second


def opened(versions: tuple[ModelVersion, ModelVersion], dataset: Dataset) -> comparison.ComparisonWork:
    found = comparison.ComparisonExecutor().open(new_comparison_job((versions[0].ref, versions[1].ref), dataset.id))
    assert isinstance(found, comparison.ComparisonWork)
    return found


def segment(services: Services, work: comparison.ComparisonWork) -> Segment:
    claim = services.store.claim(JobFolder(services.store, work.job.id).claims)
    return Segment(Lease(services.redis, work.job.id, "train"), claim, services.jobs)


def made(services: Services, work: comparison.ComparisonWork, held: Segment) -> VersionComparison:
    for _ in work.before_finish():
        pass
    result = work.finish(held)
    first, second = work.versions
    path = comparison_file(services.registry.folder(first), second.version, work.job.dataset)
    stored = VersionComparison.model_validate(json.loads(path.read_bytes()))
    assert result.fields["result"] == stored
    assert result.fields["progress"].step == work.job.progress.total_steps
    assert result.reason == stored.sentence
    return stored


def test_the_version_that_makes_photographs_is_nearer_than_noise(services: Services, tmp_path: Path) -> None:
    dataset = uploaded(services, tmp_path, "pits", blots(0, 60))
    versions = versions_on(services, uploaded(services, tmp_path, "trained", blots(7, 12)))
    work = opened(versions, dataset)
    found = made(services, work, segment(services, work))
    assert found.sentence.startswith("scratches@1 is nearer to photographs than scratches@2")
    assert found.verdicts[1].state == "failing"
    assert found.trained_on_by == []
    [leading] = [each for each in found.measures if each.name == found.leading]
    assert leading.winner == 0
    assert "memorization_rate" not in {each.name for each in found.measures}  # nobody was trained on them
    assert all(each.difference.low is not None for each in found.measures)
    assert leading.difference.low is not None
    assert leading.difference.low > 0
    assert found.n == leading.n <= 60


def test_a_version_against_its_twin_shows_no_difference(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = {1: BLOTS, 2: BLOTS.flip(0)}
    monkeypatch.setattr(
        comparison, "load_sampler", lambda version, registry, device: FakeGenerator(samples[version.version])
    )
    dataset = uploaded(services, tmp_path, "pits", blots(0, 40))
    work = opened(versions_on(services, dataset), dataset)
    found = made(services, work, segment(services, work))
    assert found.sentence.startswith("No difference that these photographs can show")
    assert found.trained_on_by == ["scratches@1", "scratches@2"]  # `dcgan` holds no photographs out
    assert "memorization_rate" in {each.name for each in found.measures}


def test_photographs_that_a_version_was_trained_on_are_known_in_another_data_set(
    services: Services, tmp_path: Path
) -> None:
    pictures = blots(0, 40)
    trained = uploaded(services, tmp_path, "trained", pictures[:25])
    whole = uploaded(services, tmp_path, "whole", pictures)
    versions = versions_on(services, trained)
    found = load_comparison_photographs(versions, whole.id, services)
    assert [len(each) for each in found.judged.training] == [25]
    assert [len(each) for each in found.judged.holdout] == [15]
    assert found.trained_on_by == []
    assert found.same_training
    assert found.notes == []


def test_what_differs_is_compared_in_what_both_have(services: Services, tmp_path: Path) -> None:
    dataset = uploaded(services, tmp_path, "pits", blots(0, 12))
    services.datasets.delete(uploaded(services, tmp_path, "gone", blots(9, 4)).id)
    first = publish(services.registry, "job-1", classes=["dents", "pits"], resolution=64, dataset_digest="gone")
    second = publish(services.registry, "job-2", classes=["pits"], mode="RGB", dataset_digest=dataset.digest)
    found = load_comparison_photographs((first, second), dataset.id, services)
    assert (found.side, found.channels, found.judged.classes) == (32, 1, ["pits"])
    assert found.trained_on_by == ["scratches@2"]
    assert not found.same_training
    assert found.notes == [
        "the photographs of scratches@1 were deleted: whether it was trained on these is not known",
        "compared at 32 px: images of scratches@1 were scaled down",
        "compared in mode L: images of scratches@2 were turned to gray",
        "not compared, of scratches@1: dents",
    ]


@pytest.mark.parametrize(
    ("seen", "unseen", "lesson", "holdout"),
    [
        (30, 20, 30, 20),  # the usual one
        (0, 60, 20, 40),  # nobody was trained on them: some serve to learn features
        (40, 9, 49, 0),  # too few are unseen
        (40, 0, 40, 0),
        (0, 12, 2, 10),
        (0, 5, 5, 0),
    ],
)
def test_photographs_that_nobody_was_trained_on_are_the_holdout(
    seen: int, unseen: int, lesson: int, holdout: int
) -> None:
    known = torch.arange(seen + unseen) < seen
    learned, compared = split(torch.arange(seen + unseen), known, torch.arange(seen + unseen))
    assert (len(learned), len(compared)) == (lesson, holdout)
    assert sorted([*learned.tolist(), *compared.tolist()]) == list(range(seen + unseen))
    assert not known[compared].any()


def test_squares_of_one_photograph_are_all_learned_from_or_all_compared_with() -> None:
    photograph = torch.arange(60) // 3
    learned, compared = split(torch.arange(60), torch.zeros(60, dtype=torch.bool), photograph)
    assert (len(learned), len(compared)) == (21, 39)  # 20 would do
    assert not set(photograph[learned].tolist()) & set(photograph[compared].tolist())


def test_colours_become_gray_and_large_images_small() -> None:
    colours = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    found = fitted(colours, 32, 1)
    assert (found.shape, found.unique().tolist()) == ((1, 1, 32, 32), [76])


def test_a_version_that_was_deleted_meanwhile_ends_the_job(services: Services, tmp_path: Path) -> None:
    dataset = uploaded(services, tmp_path, "pits", blots(0, 8))
    versions = versions_on(services, dataset)
    work = opened(versions, dataset)
    held = segment(services, work)
    for _ in work.before_finish():
        pass
    services.registry.delete_version("scratches", "1")
    with pytest.raises(UnknownModel, match="was deleted while it was compared"):
        work.finish(held)
