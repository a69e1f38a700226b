"""A run trains on the squares that its configuration cuts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import torch
from tests.conftest import SMALL_JOB, zipped
from tests.core.store import trees
from torch import Tensor

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.training_config import resolve, resolve_request
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.models.training.holdout import holdout
from flawsmith.worker.run_checkpoint import load_or_resume

SMALLEST = {"latent_size": 4, "generator_width": 1, "discriminator_width": 2, "batch_size": 4}


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Services:
    return Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock"))


@pytest.mark.parametrize(
    ("crop", "images", "warnings"),
    [(None, 9, 0), ({"around": "middle"}, 3, 1), ({"around": "pad"}, 3, 0)],
)
def test_a_run_trains_on_the_squares_of_its_crop(
    services: Services, tmp_path: Path, crop: Any, images: int, warnings: int
) -> None:
    random = np.random.default_rng(0)
    files = {f"{i}.png": trees.encoded(random.integers(0, 256, (40, 107), np.uint8)) for i in range(3)}
    (tmp_path / "upload").write_bytes(zipped(files))
    dataset, _ = services.datasets.add_archive("tiles", tmp_path / "upload")
    config = resolve(TrainingRequest(dataset="tiles", model="m", crop=crop, **SMALL_JOB), dataset)
    job: Any = KIND.new_job(
        config=config, progress=TrainingProgress(total_steps=6), model="m", dataset=dataset.id, preset="dcgan"
    )
    run = load_or_resume(job, services, torch.device("cpu"), threads=1)
    assert run.trainer.steps_per_epoch == config["steps_per_epoch"] == -(-images // 4)
    assert sum("crop" in words for words in run.data_warnings) == warnings
    run.advance()
    assert run.step == 1


def test_a_run_trains_on_squares_around_annotations(services: Services, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files = {f"images/{i}.png": trees.encoded(random.integers(0, 256, (90, 200), np.uint8)) for i in range(4)}
    files |= {f"images/{i}.txt": b"0 .2 .5 .1 .1\n1 .8 .5 .05 .1" for i in range(4)}
    (tmp_path / "upload").write_bytes(zipped(files))
    dataset, _ = services.datasets.add_archive("tiles", tmp_path / "upload")
    request = TrainingRequest(dataset="tiles", model="m", **SMALL_JOB)
    config = resolve_request(request, dataset, measure=services.datasets.measured).config
    job: Any = KIND.new_job(
        config=config, progress=TrainingProgress(total_steps=6), model="m", dataset=dataset.id, preset="dcgan"
    )
    run = load_or_resume(job, services, torch.device("cpu"), threads=1)
    assert config["classes"] == ["class 0", "class 1"]
    assert run.trainer.steps_per_epoch == config["steps_per_epoch"] > 4
    run.advance()
    assert run.step == 1


@pytest.mark.parametrize("release", ["today's", "an earlier one's"])
def test_squares_of_one_photograph_are_not_split_but_in_jobs_of_earlier_releases(
    services: Services, tmp_path: Path, release: str
) -> None:
    random = np.random.default_rng(0)
    files = {f"{i}.png": trees.encoded(random.integers(0, 256, (40, 107), np.uint8)) for i in range(30)}
    (tmp_path / "upload").write_bytes(zipped(files))
    dataset, _ = services.datasets.add_archive("tiles", tmp_path / "upload")
    request = TrainingRequest(dataset="tiles", model="m", preset="fewshot", resolution=32, steps=1, overrides=SMALLEST)
    config = resolve(request, dataset)
    if release != "today's":
        del config["whole_photographs"]
    job: Any = KIND.new_job(
        config=config, progress=TrainingProgress(total_steps=1), model="m", dataset=dataset.id, preset="fewshot"
    )
    trainer: Any = load_or_resume(job, services, torch.device("cpu"), threads=1).trainer

    squares = services.datasets.load(dataset.id, 32, dataset.crop)
    held_out = squares_among(torch.from_numpy(squares.pixels).permute(0, 3, 1, 2), trainer.holdout)
    by_photograph = held_out.view(30, 3).sum(1)
    if release == "today's":
        assert by_photograph.unique().tolist() == [0, 3]
    else:
        images, types = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2), torch.zeros(90, dtype=torch.int64)
        assert torch.equal(held_out, holdout(images, types, 1, config["seed"]))
        assert {1, 2} & set(by_photograph.tolist())


def squares_among(squares: Tensor, chosen: Tensor) -> Tensor:
    """Which of the squares are among those chosen, (N,) bool."""
    return (squares[:, None] == chosen[None]).flatten(2).all(2).any(1)
