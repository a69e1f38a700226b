"""A training job that published has the report made: once, however often it finishes, and never at its own cost."""

from pathlib import Path

import pytest
import redis
from kombu.exceptions import OperationalError
from tests.conftest import photograph
from tests.published_versions import publish

from flawsmith.core.domain.job_kinds.report import KIND
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.version_report import job_file
from flawsmith.worker import report


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """What the worker works with, on an empty artifact store and an empty Redis."""
    made = Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server / 'redis' / 'redis.sock'}"))
    monkeypatch.setattr(report, "services", lambda: made)
    return made


@pytest.fixture
def version(services: Services, tmp_path: Path) -> ModelVersion:
    """A version that a training job has published."""
    paths = []
    for number in range(3):
        paths.append((f"{number}.png", tmp_path / f"{number}.png"))
        paths[-1][1].write_bytes(photograph(number))
    dataset, _ = services.datasets.add_images("pits", paths)
    return publish(services.registry, "job-0123abc", "pits", classes=["pits"], dataset_digest=dataset.digest)


def jobs(services: Services) -> list[Job]:
    return services.jobs.page(KIND, None, 10, None)


def test_finishing_twice_makes_one_report(services: Services, version: ModelVersion) -> None:
    for _ in range(2):  # the second call is that of a worker that took over from a dead one
        report.enqueue_report(version, priority=3)
    [job] = jobs(services)
    assert (job.id, job.priority) == ("report-0123abc", 3)
    assert services.queues.waiting("train") == 1
    assert services.store.read_json(job_file(services.registry.folder(version))) == {"job": job.id}


def test_a_broker_that_is_away_loses_nothing(
    services: Services, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OperationalError("the broker is away")

    monkeypatch.setattr(services.queues, "send_segment", fail)
    report.enqueue_report(version, priority=0)
    assert [job.state for job in jobs(services)] == ["queued"]  # the reaper finds it without a message


def test_photographs_that_are_gone_cost_only_the_report(services: Services, version: ModelVersion) -> None:
    services.datasets.delete(services.datasets.of_digest(version.dataset_digest).id)
    report.enqueue_report(version, priority=0)
    assert jobs(services) == []
    assert services.registry.resolve("pits@1") == version


def test_a_setting_turns_it_off(services: Services, version: ModelVersion) -> None:
    services.settings = services.settings.model_copy(update={"reports": False})
    report.enqueue_report(version, priority=0)
    assert jobs(services) == []
