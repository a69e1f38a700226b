"""A training run of one defect type whose samples are ranked by eye; its numbers may change on the way."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from benchmarks.photographs import Photographs
from flawsmith.core.domain.training_config import resolve, trainer_config
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.models.pixels import render
from flawsmith.models.presets.registry import build_generator, build_trainer, held_out
from flawsmith.models.training.trainer import Trainer

RENDERED_AT_ONCE = 16
STATE = "run.pt"
STOPPED = 2.0  # seconds: where a step takes longer, the process was stopped, and that time does not count


@dataclass(frozen=True)
class RankedRun:
    """What to train, and where to write its samples.

    Attributes:
        folder: gets ``STEP.npy`` (samples), ``STEP.pt`` (networks), ``training.npy``, ``holdout.npy`` and its state.
        photographs: of one type.
        overrides: the preset's numbers, by the step from which they apply.
        start: networks to start from; None: untrained ones.
        device: where the networks live.
    """

    folder: Path
    photographs: Photographs
    preset: str
    resolution: int
    seed: int
    overrides: dict[int, dict[str, Any]]
    start: Path | None
    device: torch.device

    def train(self, steps: list[int], samples: int, seconds: float) -> int:
        """Trains to the last of the steps, or until the seconds have passed; continues what was trained before.

        Args:
            steps: after which to write samples.
            samples: how many.
            seconds: of training, after which to save the run and return.

        Returns:
            The steps that are completed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_photographs()
        run, spent = self._continued(), 0.0
        while run.completed_steps < max(steps) and spent < seconds:
            begun = time.perf_counter()
            run.step(run.completed_steps / max(steps))
            spent += min(time.perf_counter() - begun, STOPPED)
            if run.completed_steps in steps:
                torch.save(run.networks(), self.folder / f"{run.completed_steps}.pt")
                numpy.save(self.folder / f"{run.completed_steps}.npy", self._samples(run, samples).numpy())
                torch.save(run.state_dict(), self.folder / STATE)
            if run.completed_steps in self.overrides:
                state = {name: each.cpu() for name, each in run.state_dict().items()}
                run = self._trainer(run.completed_steps)
                run.load_state_dict(state)
        torch.save(run.state_dict(), self.folder / STATE)
        return run.completed_steps

    def _continued(self) -> Trainer:
        place = self.folder / STATE
        if place.exists():
            state = torch.load(place, map_location="cpu")
            run = self._trainer(int(state["completed_steps"]))
            run.load_state_dict(state)
            return run
        run = self._trainer(0)
        if self.start:
            run.load_networks(torch.load(self.start))
        return run

    @property
    def _images(self) -> Tensor:
        """The photographs handed to the trainer, which may hold out some of them."""
        (images,) = self.photographs.training.values()
        return images

    @property
    def _types(self) -> Tensor:
        return torch.zeros(len(self._images), dtype=torch.int64)

    def _config(self, step: int) -> dict[str, Any]:
        numbers: dict[str, Any] = {}
        for since in sorted(self.overrides):
            numbers |= self.overrides[since] if since <= step else {}
        request = TrainingRequest(
            dataset=self.photographs.dataset.id,
            model="benchmark",
            preset=self.preset,
            resolution=self.resolution,
            seed=self.seed,
            overrides=numbers,
            steps=1,
        )
        return trainer_config(self.preset, resolve(request, self.photographs.dataset))

    def _trainer(self, step: int) -> Trainer:
        return build_trainer(self.preset, self._config(step), self._images, self._types, 1, self.device)

    def _samples(self, run: Trainer, count: int) -> Tensor:
        """Samples of the averaged generator, of the same latents at each step: (count, C, side, side) uint8."""
        generator = build_generator(self.preset, self._config(run.completed_steps), 1)
        generator.load_state_dict(run.networks()["generator"])
        generator.to(self.device)
        latents = torch.randn(count, generator.latent_size, generator=torch.Generator().manual_seed(self.seed))
        latents, types = latents.to(self.device), torch.zeros(RENDERED_AT_ONCE, dtype=torch.int64, device=self.device)
        return torch.cat([render(generator, each, types[: len(each)]) for each in latents.split(RENDERED_AT_ONCE)])

    def _write_photographs(self) -> None:
        """What the run trains on, and what it never does."""
        (holdout,) = self.photographs.holdout.values()
        unseen = held_out(self.preset, self._config(0), self._images, self._types, 1)
        numpy.save(self.folder / "training.npy", self._images[~unseen].numpy())
        numpy.save(self.folder / "holdout.npy", torch.cat([holdout, self._images[unseen]]).numpy())
