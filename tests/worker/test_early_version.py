"""A version of a run that was stopped early, trained on photographs of the demo's set: it shows no scratch yet."""

import io
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import redis
import torch
from tests.conftest import zipped

from flawsmith.core.demo_set import render_picture
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

PHOTOGRAPHS, SIDE, STEPS = 100, 64, 60


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    services = Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock"))
    for module in (training, report):
        monkeypatch.setattr(module, "services", lambda: services)
    return services


def scratches() -> bytes:
    """An archive of photographs."""
    random, files = np.random.default_rng(0), {}
    for number in range(PHOTOGRAPHS):
        file = io.BytesIO()
        render_picture("scratches", random, SIDE * 3 // 2).save(file, "PNG")
        files[f"{number}.png"] = file.getvalue()
    return zipped(files)


def test_a_version_that_shows_no_scratch_yet_is_failing_and_says_so(services: Services, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(scratches())
    dataset, _ = services.datasets.add_archive("scratches", tmp_path / "upload")
    request = TrainingRequest(
        dataset="scratches",
        model="m",
        resolution=SIDE,
        steps=STEPS,
        overrides={"generator_width": 4, "discriminator_width": 8},
    )
    config = resolve(request, dataset)
    job: Any = KIND.new_job(
        config=config, progress=TrainingProgress(total_steps=STEPS), model="m", dataset=dataset.id, preset="fewshot"
    )
    work = training.TrainingWork(job, load_or_resume(job, services, torch.device("cpu"), threads=1))
    segment = Segment(cast(Lease, None), services.store.claim(services.store.path("claims")), services.jobs)
    with work.active():
        while not work.over:
            work.run.advance()
        work.run.evaluate()
        for _ in work.before_finish():
            pass
        work.finish(segment)

    version = services.registry.resolve("m@1")
    assert version.verdict is not None
    assert version.verdict.state is VerdictState.FAILING
    assert any("samples do not show the scratches" in each for each in version.verdict.reasons), version.verdict.reasons
    assert version.health is not None
    assert version.health.state is HealthState.FAILING
