"""A training job that is over judges its generator and publishes the version with the verdict in its card."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import redis
import torch
from tests.conftest import SMALL_JOB, zipped
from tests.core.store import trees

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.records import HealthState, VerdictState
from flawsmith.core.domain.training_config import resolve
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.live.leases import Lease
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.worker import report, training
from flawsmith.worker.executor import Segment
from flawsmith.worker.run_checkpoint import load_or_resume
from flawsmith.worker.verdict import load_judgement

PHOTOGRAPHS = 24


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    services = Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock"))
    for module in (training, report):
        monkeypatch.setattr(module, "services", lambda: services)
    return services


def scratched(random: np.random.Generator) -> bytes:
    """A bright line on grain."""
    pixels = random.normal(110, 6, (32, 32))
    pixels[:, random.integers(4, 28)] += 90
    return trees.encoded(pixels.clip(0, 255).astype(np.uint8))


def test_what_a_run_of_one_step_publishes_is_failing_and_says_why(services: Services, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "upload").write_bytes(zipped({f"{i}.png": scratched(random) for i in range(PHOTOGRAPHS)}))
    dataset, _ = services.datasets.add_archive("scratches", tmp_path / "upload")
    config = resolve(TrainingRequest(dataset="scratches", model="m", **SMALL_JOB), dataset)
    job: Any = KIND.new_job(
        config=config, progress=TrainingProgress(total_steps=6), model="m", dataset=dataset.id, preset="dcgan"
    )
    run = load_or_resume(job, services, torch.device("cpu"), threads=1)
    work = training.TrainingWork(job, run)
    segment = Segment(cast(Lease, None), services.store.claim(services.store.path("claims")), services.jobs)
    run.advance()
    run.evaluate()

    for _ in work.before_finish():
        pass
    result = work.finish(segment)

    version = services.registry.resolve("m@1")
    assert result.fields["produced"] == "m@1"
    assert version.verdict is not None
    assert version.verdict.state is VerdictState.FAILING
    assert "pure noise" in version.verdict.sentence
    assert version.health == result.fields["health"]
    assert version.health is not None
    assert version.health.state is HealthState.FAILING
    assert version.verdict.sentence in version.health.reasons
    assert result.reason.endswith("; its verdict is failing")
    judged = load_judgement(services.registry.folder(version))
    assert judged is not None
    assert judged.verdict == version.verdict
    assert judged.leading in {each.name for each in judged.measures}
    record = job.changed(**result.fields)
    assert (record.verdict, record.served_by_name) == (version.verdict, None)
