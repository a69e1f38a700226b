"""Which version's drift check is due, and that it is enqueued once."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from tests.conftest import photograph
from tests.published_versions import publish

from flawsmith.core.domain.job_kinds.drift import KIND, DriftJob
from flawsmith.core.domain.known_images import KnownImages
from flawsmith.core.domain.quality_floor import QualityFloor, sampling_name
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.live import keys
from flawsmith.core.live.drift_watch import DriftWatch
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.version_drift import drift_job_file, save_known_images
from flawsmith.core.store.version_report import report_file, save_report

SERVED = 2**52 + 300


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Services:
    return Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server / 'redis' / 'redis.sock'}"))


@pytest.fixture
def version(services: Services, tmp_path: Path) -> ModelVersion:
    """A version with a report of two days ago, which served images."""
    files = [(f"{number}.png", tmp_path / f"{number}.png") for number in range(3)]
    for number, (_, path) in enumerate(files):
        path.write_bytes(photograph(number))
    dataset, _ = services.datasets.add_images("scratches", files)
    made = publish(services.registry, "job-1", dataset_digest=dataset.digest)
    save_report(services.registry.folder(made), {}, "page", services.store.write_bytes)
    age(report_file(services.registry.folder(made)), hours=48)
    serve(services, made, SERVED)
    return made


@pytest.fixture
def look(services: Services) -> Callable[..., list[DriftJob]]:
    """Looks as if `LOOK_SECONDS` had passed; returns the checks that there are."""

    def run(hours: float = 24.0) -> list[DriftJob]:
        services.redis.delete(keys.DRIFT_LOOK)
        return looked(services, hours)

    return run


def looked(services: Services, hours: float = 24.0) -> list[DriftJob]:
    parts = services.redis, services.registry, services.datasets, services.jobs, services.queues
    DriftWatch(*parts, hours).look()
    found = services.jobs.page(KIND, None, 10, None)
    assert all(isinstance(each, DriftJob) for each in found)
    return found  # type: ignore[return-value]


def serve(services: Services, version: ModelVersion, seed: int, floor: float | None = None) -> None:
    services.redis.hset(f"{keys.NEXT_SEED}{sampling_name(version.ref, floor)}\nscratches", "next", seed)


def age(path: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def test_a_version_that_served_is_looked_at_once_a_day(
    services: Services, version: ModelVersion, look: Callable[..., list[DriftJob]]
) -> None:
    [first] = look()
    assert (first.version, first.newest) == ("scratches@1", {"scratches": SERVED})
    assert services.queues.waiting("train") == 1
    assert look() == [first]
    age(drift_job_file(services.registry.folder(version)), hours=25)
    assert look() == [first]  # it served nothing new
    serve(services, version, SERVED + 1)
    services.jobs.cancel(first.id)
    [second] = look()  # the record of the earlier one is gone
    assert second.id != first.id
    assert second.newest == {"scratches": SERVED + 1}


def test_with_a_quality_floor_the_seeds_under_it_count(
    services: Services, version: ModelVersion, look: Callable[..., list[DriftJob]]
) -> None:
    services.registry.set_quality_floor(version, QualityFloor(score=0.5, set_at=now()))
    assert look() == []  # nothing was served under it
    serve(services, version, SERVED + 7, floor=0.5)
    assert [each.newest for each in look()] == [{"scratches": SERVED + 7}]


def test_one_process_looks_at_a_time(services: Services, version: ModelVersion) -> None:
    assert len(looked(services)) == 1
    age(drift_job_file(services.registry.folder(version)), hours=25)
    serve(services, version, SERVED + 1)
    assert len(looked(services)) == 1


def test_a_new_environment_makes_a_version_due(
    services: Services, version: ModelVersion, look: Callable[..., list[DriftJob]]
) -> None:
    folder = services.registry.folder(version)
    [first] = look()
    age(drift_job_file(folder), hours=1)
    assert look() == [first]
    images = KnownImages(environment="cuda-9.0-torch-2.8.0", sha256="0")
    save_known_images(folder, images, services.store.write_bytes)
    assert first.id in {each.id for each in look()}
    assert len(look()) == 2  # the first one has not ended


@pytest.mark.usefixtures("version")
def test_nothing_is_looked_at_by_setting(look: Callable[..., list[DriftJob]]) -> None:
    assert look(hours=0) == []


def test_what_cannot_be_compared_is_passed_over(
    services: Services, version: ModelVersion, look: Callable[..., list[DriftJob]]
) -> None:
    services.redis.delete(f"{keys.NEXT_SEED}{version.ref}\nscratches")
    assert look() == []
    serve(services, version, SERVED)
    services.datasets.delete(services.datasets.get("scratches").id)
    assert look() == []
    report_file(services.registry.folder(version)).unlink()
    assert look() == []
