"""A training job with its networks on a pretended accelerator: steps, evaluations, checkpoints and qualification."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import redis
import torch
from tests.conftest import SMALL_JOB, zipped
from tests.core.store import trees
from tests.pretended_device import PRETENDED, PretendedDevice

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.records import Dataset
from flawsmith.core.domain.training_config import resolve
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.live.leases import Lease
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.models.inference.session import Precision
from flawsmith.worker import qualification, training
from flawsmith.worker.executor import Segment
from flawsmith.worker.qualification import qualify
from flawsmith.worker.run_checkpoint import load_or_resume
from flawsmith.worker.training_run import Run

CPU = torch.device("cpu")
STEPS = 5
JOBS: dict[str, dict[str, Any]] = {
    "dcgan": SMALL_JOB,
    "fewshot": {  # without directions, which are measured more exactly on a device
        **SMALL_JOB,
        "preset": "fewshot",
        "overrides": {"generator_width": 4, "discriminator_width": 8, "batch_size": 4, "direction": False},
    },
}


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    services = Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock"))
    monkeypatch.setattr(training, "services", lambda: services)
    monkeypatch.setattr(Segment, "emit", lambda *_: None)  # events need a lease
    return services


@pytest.fixture
def dataset(services: Services, tmp_path: Path) -> Dataset:
    """Bright lines on grain, of two types."""
    random, files = np.random.default_rng(0), {}
    for number in range(40):
        pixels = random.normal(110, 6, (32, 32))
        pixels[:, random.integers(4, 28)] += 90 if number % 2 else -60
        files[f"{['dents', 'scratches'][number % 2]}/{number}.png"] = trees.encoded(
            pixels.clip(0, 255).astype(np.uint8)
        )
    (tmp_path / "upload").write_bytes(zipped(files))
    return services.datasets.add_archive("lines", tmp_path / "upload")[0]


def trained(services: Services, dataset: Dataset, body: dict[str, Any], device: torch.device) -> tuple[Run, Precision]:
    """Trains, saves a checkpoint, resumes from it as another worker would, and qualifies the result."""
    config = resolve(TrainingRequest(dataset=dataset.name, model="m", **body), dataset)
    progress = TrainingProgress(total_steps=config["total_steps"])
    job: Any = KIND.new_job(config=config, progress=progress, model="m", dataset=dataset.id, preset=body["preset"])
    segment = Segment(cast(Lease, None), services.store.claim(services.store.path("claims")), services.jobs)
    first = training.TrainingWork(job, load_or_resume(job, services, device, threads=1))
    with first.active():
        for _ in range(STEPS):
            first.run.advance()
        first.conclude(segment)  # an evaluation, with a sample grid
        first.save(segment)
    work = training.TrainingWork(job, load_or_resume(job, services, device, threads=1))
    assert work.step == STEPS
    with work.active():
        work.advance(segment)
        work.conclude(segment)
        assert work.over
        assert work.run.best is not None
        precision = qualify(job.preset, config, work.run.best.networks["generator"], device)
    return work.run, precision


@pytest.mark.parametrize("body", JOBS.values(), ids=list(JOBS))
def test_a_job_ends_with_what_it_ends_with_on_the_cpu(
    services: Services, dataset: Dataset, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qualification, "IMAGES", 40)
    wanted, wanted_precision = trained(services, dataset, body, CPU)
    with PretendedDevice():
        found, precision = trained(services, dataset, body, PRETENDED)
    assert precision == wanted_precision
    assert found.history == wanted.history
    assert found.best is not None
    assert wanted.best is not None
    for name, weights in wanted.best.networks.items():
        for key, each in weights.items():
            assert torch.equal(found.best.networks[name][key], each), (name, key)
