"""A drift check in the worker, and the images of known addresses."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import torch
from numpy.typing import NDArray
from tests.conftest import photograph
from tests.published_versions import GOOD, publish

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.job_kinds.drift import DriftJob, new_drift_job
from flawsmith.core.domain.known_images import KnownImages
from flawsmith.core.domain.quality_report import Copies, MeasureResult, QualityReport
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.live.leases import Lease
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel
from flawsmith.core.store.version_drift import drift_of, known_images_of
from flawsmith.core.store.version_report import save_report
from flawsmith.worker import drift
from flawsmith.worker.executor import Segment
from flawsmith.worker.known_images import CHANGED, check_known_images, known_images
from flawsmith.worker.reports.analysis import Judged

CPU = torch.device("cpu")
SERVED = 2**52 + 500


class FakeGenerator:
    """Each image has one gray value, its seed modulo 256, plus ``shift``."""

    def __init__(self, shift: int = 0) -> None:
        self.classes, self.shift, self.drawn = ["scratches"], shift, list[int]()

    def sample_batch(self, addresses: Sequence[Address]) -> NDArray[np.uint8]:
        self.drawn += [each.seed for each in addresses]
        values = [(each.seed + self.shift) % 256 for each in addresses]
        return np.array(values, np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2)


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """What the worker works with; the generator of each version is a `FakeGenerator`."""
    made = Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server / 'redis' / 'redis.sock'}"))
    monkeypatch.setattr(drift, "services", lambda: made)
    monkeypatch.setattr(drift, "device", lambda: CPU)
    return made


@pytest.fixture
def version(services: Services, tmp_path: Path) -> ModelVersion:
    """A version whose report has the value 1, with the interval .9 to 1.1."""
    files = [(f"{number}.png", tmp_path / f"{number}.png") for number in range(3)]
    for number, (_, path) in enumerate(files):
        path.write_bytes(photograph(number))
    dataset, _ = services.datasets.add_images("scratches", files)
    made = publish(services.registry, "job-1", dataset_digest=dataset.digest, config={"resolution": 32}, resolution=32)
    report = QualityReport(
        version=made.ref,
        created_at=now(),
        verdict=GOOD,
        leading="ridges",
        measures=[MeasureResult(**measured(1.0))],
        copies=Copies(memorization_rate=None, authenticity=None, worst=[]),
        coverage={},
        two_sample=None,
        known_images=known_images(FakeGenerator(), CPU),  # type: ignore[arg-type]
    )
    save_report(services.registry.folder(made), report.model_dump(mode="json"), "page", services.store.write_bytes)
    return made


def measured(value: float) -> dict[str, Any]:
    return {
        "name": "ridges",
        "type": "scratches",
        "value": value,
        "photographs": 0.0,
        "controls": {},
        "interval": (value - 0.1, value + 0.1),
        "better": "lower",
        "n": 40,
    }


def checked(
    services: Services, version: ModelVersion, monkeypatch: pytest.MonkeyPatch, generator: FakeGenerator, value: float
) -> tuple[drift.DriftWork, Segment]:
    """A check whose judge draws 20 images and then finds this value."""

    def calibrating(photographs: Any, spaces: Any) -> Any:
        yield

    def judged_with_error(calibration: Any, sample: Any, composed: bool) -> Any:
        yield
        sample(0, 0, 16)
        sample(0, 16, 4)
        return Judged(verdict=GOOD, leading="ridges", measures=[MeasureResult(**measured(value))], two_sample=None)

    monkeypatch.setattr(drift, "calibrating", calibrating)
    monkeypatch.setattr(drift, "judged_with_error", judged_with_error)
    monkeypatch.setattr(drift, "load_sampler", lambda version, registry, device: generator)
    dataset = services.datasets.get("scratches").id
    job = new_drift_job(version.ref, dataset, {"scratches": SERVED})
    assert isinstance(job, DriftJob)
    work = drift.DriftWork(job, version)
    claim = services.store.claim(JobFolder(services.store, job.id).claims)
    held = Segment(Lease(services.redis, job.id, "train"), claim, services.jobs)
    for _ in work.before_finish():
        pass
    return work, held


def events(services: Services) -> list[dict[str, Any]]:
    if not services.audit.path.exists():
        return []
    return [json.loads(each) for each in services.audit.path.read_text().splitlines()]


def test_the_newest_served_images_are_drawn_again(
    services: Services, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = FakeGenerator()
    work, held = checked(services, version, monkeypatch, generator, 1.0)
    result = work.finish(held)
    assert sorted(generator.drawn[-20:]) == list(range(SERVED - 20, SERVED))
    found = drift_of(services.registry.folder(version))
    assert found is not None
    assert result.fields["result"] == found
    assert result.fields["progress"].step == 1
    assert (found.drifted, found.images_changed, found.reasons) == (False, False, [])
    assert [each.value for each in found.measures] == [1.0]
    assert events(services) == []


def test_drift_is_an_event_with_its_reasons(
    services: Services, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, held = checked(services, version, monkeypatch, FakeGenerator(shift=1), 2.0)
    result = work.finish(held)
    assert "ridges of scratches is 2" in result.reason
    [event] = events(services)
    assert (event["event"], event["version"]) == ("drift", "scratches@1")
    assert event["reasons"][-1] == CHANGED


def test_a_version_that_was_deleted_meanwhile_ends_the_check(
    services: Services, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, held = checked(services, version, monkeypatch, FakeGenerator(), 1.0)
    services.registry.delete_version("scratches", "1")
    with pytest.raises(UnknownModel, match="was deleted while it was looked at"):
        work.finish(held)


def test_a_new_environment_is_checked_once(services: Services, version: ModelVersion) -> None:
    for _ in range(2):
        check_known_images(FakeGenerator(shift=1), version, services.registry, CPU)  # type: ignore[arg-type]
    [event] = events(services)
    assert (event["event"], event["reasons"]) == ("drift", [CHANGED])
    [kept] = known_images_of(services.registry.folder(version)).values()
    assert isinstance(kept, KnownImages)
    assert event["environment"] == kept.environment


def test_the_same_images_are_no_event(services: Services, version: ModelVersion) -> None:
    generator = FakeGenerator()
    for _ in range(2):
        check_known_images(generator, version, services.registry, CPU)  # type: ignore[arg-type]
    assert events(services) == []
    assert len(generator.drawn) == 16  # one micro-batch, once


def test_a_store_that_cannot_be_written_does_not_keep_a_worker_from_sampling(
    services: Services, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(services.registry.store, "write_bytes", refuse)
    check_known_images(FakeGenerator(), version, services.registry, CPU)  # type: ignore[arg-type]
    assert known_images_of(services.registry.folder(version)) == {}
