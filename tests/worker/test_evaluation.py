"""An evaluation's work without a service: it goes on from any checkpoint to the result it would have had."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from tests.conftest import SMALL_JOB, photograph, zipped

from flawsmith.core.domain.evaluation_request import EvaluationRequest, resolve_evaluation, total_steps
from flawsmith.core.domain.evaluation_result import EvaluationResult
from flawsmith.core.domain.job_kinds.evaluation import KIND, EvaluationJob
from flawsmith.core.domain.jobs import Progress
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.domain.training_config import resolve, trainer_config
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import Registry, UnknownModel
from flawsmith.core.store.version_results import evaluations_of
from flawsmith.models.presets.registry import build_trainer
from flawsmith.worker import evaluation
from flawsmith.worker.evaluation import EvaluationExecutor, EvaluationWork, NotMeasurable
from flawsmith.worker.executor import Segment, Work
from flawsmith.worker.generator_file import save_generator

BODY: dict[str, Any] = {"dataset": "set", "per_type": [3], "ratios": [2.0], "repeats": 2}
STEPS = 2  # of each classifier
TWO_TYPES = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "pits") for i in range(9)}


class Place:
    """An artifact store and what the worker finds in it."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(data_dir=folder)
        self.store = ArtifactStore(folder / "artifacts")
        self.registry, self.datasets = Registry(self.store), Datasets(self.store, settings)
        self.emitted: list[dict[str, Any]] = []

    def add(self, files: dict[str, bytes], name: str = "set") -> Dataset:
        archive = self.store.root.parent / "set.zip"
        archive.write_bytes(zipped(files))
        return self.datasets.add_archive(name, archive)[0]

    def publish(self, dataset: Dataset, job: str = "job-1", **changes: Any) -> ModelVersion:
        """A version of a generator that was never trained."""
        config = {**resolve(TrainingRequest(dataset=dataset.id, model="m", **SMALL_JOB), dataset), **changes}
        squares = self.datasets.load(dataset.id, 32)
        images, types = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2), torch.from_numpy(squares.type_index)
        fields = trainer_config("dcgan", config)
        trainer = build_trainer("dcgan", fields, images, types, len(config["classes"]), torch.device("cpu"))
        networks = trainer.networks()
        card: dict[str, Any] = {
            "preset": "dcgan",
            "classes": config["classes"],
            "resolution": 32,
            "mode": "L",
            "config": config,
            "precision": "float32",
            "qualified_on": "cpu",
        }
        with self.store.staged() as staged:
            save_file(networks["discriminator"], staged / "discriminator.safetensors")
            digest = save_generator(networks["generator"], staged / "generator.safetensors", card)
            return self.registry.publish(
                "m", staged, **card, weights_sha256=digest, training_job=job, dataset_digest=dataset.digest
            )

    def job(self, dataset: Dataset, version: ModelVersion, **body: Any) -> EvaluationJob:
        config = resolve_evaluation(EvaluationRequest(**{**BODY, **body}), dataset, version)
        config["classifier_steps"] = STEPS
        made = KIND.new_job(
            config=config, progress=Progress(total_steps=total_steps(config)), version=version.ref, dataset=dataset.id
        )
        assert isinstance(made, EvaluationJob)
        return made

    def segment(self, job: EvaluationJob) -> Segment:
        claim = self.store.claim(JobFolder(self.store, job.id).claims)
        jobs = SimpleNamespace(emit=lambda lease, event, data: self.emitted.append({"event": event, **data}))
        return Segment(cast(Any, SimpleNamespace(job_id=job.id)), claim, cast(Any, jobs))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    found = Place(tmp_path)
    monkeypatch.setattr(evaluation, "services", lambda: found)
    monkeypatch.setattr(evaluation, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(evaluation, "threads", lambda: 1)
    yield found


def finished(place: Place, job: EvaluationJob, stop_after: int | None = None) -> EvaluationResult:
    """The result; after each so many advances the job is saved and opened again, as another worker would."""
    work, segment, advances = EvaluationExecutor().open(job), place.segment(job), 0
    while not work.over:
        advances += 1
        before = work.step
        with work.active():
            work.advance(segment)
        assert work.step >= before
        if stop_after and advances % stop_after == 0:
            work.save(segment)
            work, segment = reopened(work, place, job)
    assert isinstance(work, NotMeasurable) or work.step == job.progress.total_steps
    result = work.finish(segment).fields["result"]
    assert isinstance(result, EvaluationResult)
    return result


def reopened(work: Work, place: Place, job: EvaluationJob) -> tuple[Work, Segment]:
    again = EvaluationExecutor().open(job)
    assert again.step == work.step
    return again, place.segment(job)


@pytest.mark.parametrize("retrain", [True, False])
def test_a_job_that_is_stopped_everywhere_has_the_result_of_one_that_never_was(place: Place, retrain: bool) -> None:
    dataset = place.add(TWO_TYPES)
    version = place.publish(dataset)
    whole, stopped = (place.job(dataset, version, retrain=retrain, per_type=[3, 4]) for _ in range(2))
    expected = finished(place, whole)
    assert finished(place, stopped, stop_after=3) == expected
    assert len(expected.arms) == 2 * 4
    assert expected.leaks is not retrain
    assert evaluations_of(place.registry.folder(version)) == [expected.model_dump(mode="json")] * 2
    assert len(place.emitted) == 2 * 2 * 2 * 4


def test_the_generator_of_each_subset_sees_only_what_the_classifier_sees(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = place.add(TWO_TYPES)
    version = place.publish(dataset)
    seen: list[torch.Tensor] = []
    build = evaluation.SubsetWork._new_run

    def watched(work: Any) -> Any:
        run = build(work)
        seen.append(run.trainer.images)
        held_out = work.experiment.photographs.images[work.experiment.split.held_out]
        assert not (run.trainer.images[:, None] == held_out[None]).flatten(2).all(2).any()
        return run

    monkeypatch.setattr(evaluation.SubsetWork, "_new_run", watched)
    finished(place, place.job(dataset, version, per_type=[3, 4]))
    assert [len(each) for each in seen] == [6, 8, 6, 8]
    assert not torch.equal(seen[0], seen[2])


def test_one_type_is_told_from_clean_photographs(place: Place) -> None:
    dents = {name: data for name, data in TWO_TYPES.items() if name.startswith("dents")}
    clean = {f"good/{i}.png": photograph(500 + i) for i in range(9)}
    dataset = place.add(dents | clean)
    version = place.publish(dataset)
    result = finished(place, place.job(dataset, version), stop_after=4)
    assert result.verdict != "not measurable"
    assert len(result.arms) == 4


def test_photographs_of_one_part_only_are_not_measurable(place: Place) -> None:
    one = np.asarray(Image.open(io.BytesIO(photograph(7))))
    dataset = place.add(TWO_TYPES | {f"dents/{i}.png": _png(np.clip(one, 9, 246) + i) for i in range(9)})
    version = place.publish(dataset)
    result = finished(place, place.job(dataset, version))
    assert (result.verdict, result.arms) == ("not measurable", [])
    assert "the photographs of dents are near-duplicates" in result.reason


def test_a_version_that_starts_from_one_of_the_same_photographs_leaks(place: Place) -> None:
    dataset = place.add(TWO_TYPES)
    origin = place.publish(dataset)
    version = place.publish(dataset, job="job-2", init_from=origin.ref)
    job = place.job(dataset, version)
    assert cast(EvaluationWork, EvaluationExecutor().open(job)).leaks
    assert not cast(EvaluationWork, EvaluationExecutor().open(place.job(dataset, origin))).leaks


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_version_that_was_deleted_meanwhile_ends_the_job(place: Place) -> None:
    dataset = place.add(TWO_TYPES)
    version = place.publish(dataset)
    job = place.job(dataset, version, per_type=[3], retrain=False)
    work, segment = EvaluationExecutor().open(job), place.segment(job)
    with work.active():
        while not work.over:
            work.advance(segment)
    place.registry.delete_version("m", "1")
    with pytest.raises(UnknownModel, match="deleted while it was evaluated"):
        work.finish(segment)
