"""A report job in the worker: stages, checkpoints, and what it publishes."""

import json
from pathlib import Path

import pytest
import redis
import torch
from tests.conftest import photograph, zipped

from flawsmith.core.domain.image_modes import ImageMode
from flawsmith.core.domain.job_kinds.report import STAGES, new_report_job
from flawsmith.core.domain.quality_report import MeasureResult, QualityReport
from flawsmith.core.domain.records import ModelVersion, Verdict, VerdictState
from flawsmith.core.domain.training_config import resolve
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.live.leases import Lease
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel
from flawsmith.core.store.version_report import page_file, report_file
from flawsmith.models.presets.registry import build_generator
from flawsmith.models.quality.neighbourhoods import BETTER
from flawsmith.worker import report
from flawsmith.worker.executor import Segment
from flawsmith.worker.generator_file import save_generator
from flawsmith.worker.reports.analysis import Judged
from flawsmith.worker.reports.material import Material
from flawsmith.worker.reports.stages import CLAIMS, MOST_CONTROLLED, neighbourhood_stage
from flawsmith.worker.verdict import save_judgement

PHOTOGRAPHS = 8


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """What the worker works with, on an empty artifact store."""
    made = Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server / 'redis' / 'redis.sock'}"))
    monkeypatch.setattr(report, "services", lambda: made)
    monkeypatch.setattr(report, "device", lambda: torch.device("cpu"))
    return made


def publish(services: Services, photographs: dict[str, bytes], mode: ImageMode = "L") -> ModelVersion:
    """Publishes a version of an untrained generator, of these photographs by their names in an archive."""
    archive = services.settings.data_dir / "photographs.zip"
    archive.write_bytes(zipped(photographs))
    dataset, _ = services.datasets.add_archive("pits", archive)
    request = TrainingRequest(dataset="pits", model="pits", preset="dcgan", resolution=32, steps=1)
    config = resolve(request.model_copy(update={"overrides": {"generator_depth": 4}}), dataset)
    essentials = {
        "preset": "dcgan",
        "classes": config["classes"],
        "resolution": 32,
        "mode": mode,
        "config": config,
        "precision": "float32",
        "qualified_on": "cpu",
    }
    torch.manual_seed(0)
    weights = build_generator("dcgan", config, len(config["classes"])).state_dict()
    with services.store.staged() as staged:
        digest = save_generator(weights, staged / "generator.safetensors", essentials)
        return services.registry.publish(
            "pits",
            staged,
            **essentials,
            weights_sha256=digest,
            training_job="job-1",
            dataset_digest=dataset.digest,
            step=1,
        )


@pytest.fixture
def version(services: Services) -> ModelVersion:
    """A version of `PHOTOGRAPHS` photographs of one type."""
    return publish(services, {f"{number}.png": photograph(number) for number in range(PHOTOGRAPHS)})


@pytest.fixture
def work(services: Services, version: ModelVersion) -> report.ReportWork:
    """The report job of the version, at its beginning."""
    job = new_report_job(version.ref, services.datasets.of_digest(version.dataset_digest).id)
    return opened(job)


def opened(job: object) -> report.ReportWork:
    found = report.ReportExecutor().open(job)  # type: ignore[arg-type]
    assert isinstance(found, report.ReportWork)
    return found


def segment(services: Services, work: report.ReportWork) -> Segment:
    claim = services.store.claim(JobFolder(services.store, work.job.id).claims)
    return Segment(Lease(services.redis, work.job.id, "train"), claim, services.jobs)


def advance_to(work: report.ReportWork, step: int, held: Segment) -> None:
    while work.step < step:
        work.advance(held)


def published(services: Services, version: ModelVersion) -> dict[str, object]:
    found: dict[str, object] = json.loads(report_file(services.registry.folder(version)).read_bytes())
    return found


def test_a_resumed_report_is_that_of_an_undisturbed_one(
    services: Services, version: ModelVersion, work: report.ReportWork
) -> None:
    held = segment(services, work)
    advance_to(work, len(STAGES), held)
    assert work.over
    result = work.finish(held)
    whole = published(services, version)
    assert result.fields == {"report": "/models/pits/versions/1/report"}

    again = opened(work.job)
    advance_to(again, 5, held)
    again.save(held)
    again.advance(held)  # what comes after the checkpoint is lost
    resumed = opened(work.job)
    assert resumed.step == 5
    advance_to(resumed, len(STAGES), held)
    resumed.finish(held)
    assert {**published(services, version), "created_at": 0} == {**whole, "created_at": 0}


def test_many_photographs_of_which_none_is_held_out_are_compared_with_their_halves(services: Services) -> None:
    many = 2 * MOST_CONTROLLED + 4
    version = publish(services, {f"{number}.png": photograph(number) for number in range(many)})
    found = list(neighbourhood_stage(Material(version, services, torch.device("cpu"))))
    assert {each.name for each in found} == BETTER.keys()
    assert all(each.n == many // 2 for each in found)
    assert all(set(CLAIMS) <= each.controls.keys() for each in found)


def test_a_few_photographs_have_a_report_too(
    services: Services, version: ModelVersion, work: report.ReportWork
) -> None:
    held = segment(services, work)
    advance_to(work, len(STAGES), held)
    work.finish(held)
    found = QualityReport.model_validate(published(services, version))
    assert found.verdict.state != "good"
    assert len(found.copies.worst) == 12
    assert {each.file for each in found.copies.worst} <= {f"{number}.png" for number in range(PHOTOGRAPHS)}
    page = page_file(services.registry.folder(version)).read_text()
    assert "The history of job job-1 is gone." in page


def test_a_version_that_was_deleted_meanwhile_has_none(
    services: Services, version: ModelVersion, work: report.ReportWork
) -> None:
    held = segment(services, work)
    advance_to(work, len(STAGES), held)
    services.registry.delete_version("pits", "1")
    with pytest.raises(UnknownModel, match="was deleted before its report was made"):
        work.finish(held)
    assert not report_file(services.registry.folder(version)).exists()


def test_colour_and_a_type_of_two_photographs(services: Services) -> None:
    names = ["pair/0.png", "pair/1.png", "several/0.png", "several/1.png", "several/2.png"]
    files = {name: photograph(number, mode="RGB") for number, name in enumerate(names)}
    version = publish(services, files, "RGB")
    work = opened(new_report_job(version.ref, services.datasets.of_digest(version.dataset_digest).id))
    held = segment(services, work)
    advance_to(work, len(STAGES), held)
    work.save(held)
    opened(work.job).finish(held)
    found = QualityReport.model_validate(published(services, version))
    assert found.verdict.state != "good"
    assert {each.defect_type for each in found.copies.worst} == {"several"}  # the others are too few to compare


def test_the_report_has_the_judgement_that_the_verdict_was_made_of(
    services: Services, version: ModelVersion, work: report.ReportWork
) -> None:
    measure = MeasureResult(
        name="combined",
        type="pits",
        value=0.3,
        photographs=0.0,
        controls={"blurred 1 px": 0.4},
        interval=(0.2, 0.4),
        better="lower",
        n=10,
    )
    verdict = Verdict(state=VerdictState.WARNING, sentence="Lines waver.", reasons=["lines waver"])
    judged = Judged(verdict=verdict, leading="combined", measures=[measure], two_sample=None)
    save_judgement(judged, services.registry.folder(version))
    held = segment(services, work)
    advance_to(work, len(STAGES), held)
    work.finish(held)
    found = QualityReport.model_validate(published(services, version))
    assert (found.verdict, found.leading, found.two_sample) == (verdict, "combined", None)
    assert measure in found.measures
    assert {each.name for each in found.measures if each.type == "pits"} <= {"combined", *BETTER}
