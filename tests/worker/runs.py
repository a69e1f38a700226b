"""Training runs for the tests, without a service."""

from dataclasses import replace
from typing import Any

import torch
from tests.models.presets.dcgan.runs import CONFIG as DCGAN

from flawsmith.core.domain.job_kinds.training import TrainingJob, TrainingProgress
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.records import now
from flawsmith.models.presets.dcgan.trainer import DcganTrainer
from flawsmith.models.training.trainer import Trainer
from flawsmith.worker.training_run import Run

CPU = torch.device("cpu")
CONFIG: dict[str, Any] = {"total_steps": 200, "classes": ["scratches"], "seed": 0}


def run_of(trainer: Trainer, threads: int = 1, **config: Any) -> Run:
    """A run at its first step."""
    job = TrainingJob(
        kind="training",
        id="job-1",
        state=JobState.RUNNING,
        model="m",
        dataset="ds-1",
        preset="dcgan",
        config=CONFIG | config,
        progress=TrainingProgress(total_steps=200),
        created_at=now(),
    )
    return Run(job, "digest", trainer, CPU, threads)


class ScriptedTrainer:
    """Its losses and signals are the test's: ``losses`` by step, else 1; ``distances`` in the order of evaluations."""

    def __init__(self, losses: dict[int, float] | None = None, distances: list[float] | None = None) -> None:
        self.completed_steps, self.losses, self.distances = 0, losses or {}, iter(distances or [])
        self.loaded: list[int] = []  # steps whose networks were loaded

    def step(self, progress: float) -> dict[str, torch.Tensor]:
        self.completed_steps += 1
        return {"generator_loss": torch.tensor(self.losses.get(self.completed_steps, 1.0))}

    def evaluate(self) -> dict[str, float]:
        return {"distance": next(self.distances), "diversity": 1.0}

    def networks(self) -> dict[str, dict[str, torch.Tensor]]:
        return {"generator": {"step": torch.tensor(self.completed_steps)}}

    def load_networks(self, networks: dict[str, dict[str, torch.Tensor]]) -> None:
        self.loaded.append(int(networks["generator"]["step"]))

    def reduce_learning_rate(self) -> None:
        pass


def small_trainer() -> DcganTrainer:
    config = replace(DCGAN, seed=0, latent_size=4, generator_depth=2, discriminator_depth=2)
    images = torch.randint(0, 256, (8, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return DcganTrainer(config, images, torch.zeros(8, dtype=torch.int64), 1, CPU)
