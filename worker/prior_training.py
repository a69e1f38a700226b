"""Trains a prior on drawn surfaces: the networks from which `fewshot` jobs of this shape start.

    python -m flawsmith.worker.prior_training --resolution 64 --channels 1 --seconds 400 --out 64-gray.safetensors

It saves its state beside the file every minute; the same command continues from there, and a longer ``--seconds`` or
``--steps`` trains further.
"""

import argparse
import json
import math
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from flawsmith.core.domain.image_modes import CHANNELS
from flawsmith.core.domain.presets.fewshot import NARROW_ENDS_FROM
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.priors import PriorCard
from flawsmith.core.store.images import encode_png, grid, to_image
from flawsmith.models.drawn_surfaces.drawn_set import chunks
from flawsmith.models.pixels import render
from flawsmith.models.presets.fewshot.prior_trainer import PriorTrainer
from flawsmith.models.quality.evaluator import Evaluator
from flawsmith.models.training.trainer import Networks
from flawsmith.worker.prior_file import load_prior, save_prior, weights_digest

PRESET = "fewshot"
HELD_OUT = 256  # drawn surfaces beside those trained on, for the figures
COMPARED = 512  # of those trained on, for the figures
ON_SHEET, COLUMNS = 64, 8  # drawn and generated pictures each
SAVED_EVERY_SECONDS, READ_EVERY_STEPS, PRINTED_EVERY_SECONDS = 60.0, 50, 10.0
SAMPLED_AT_ONCE = 64
SEEDS_APART = 1_000_000  # between the pictures of two seeds


class Diverged(Exception):
    """A loss is not finite."""


def main(arguments: list[str] | None = None) -> None:
    given = options().parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    names = [Path(word).name if "/" in word else word for word in words]  # folders concern only this machine
    command = shlex.join(["python", "-m", "flawsmith.worker.prior_training", *names])
    began = time.monotonic()
    pictures = _pictures(given)
    print(f"{len(pictures)} pictures after {time.monotonic() - began:.1f} s", flush=True)
    if given.seconds or given.steps:
        train(given, pictures, command)


def train(given: argparse.Namespace, pictures: NDArray[np.uint8], command: str) -> PriorCard:
    """Trains, and writes the prior, and its sheet where one is asked for.

    Args:
        given: the options of the command.
        pictures: (N, C, side, side); the last `HELD_OUT` are not trained on.
        command: for the card.

    Raises:
        Diverged: a loss is not finite.
        ValueError: the saved state is of another configuration.
    """
    given.out.parent.mkdir(parents=True, exist_ok=True)
    device = torch.device(given.device)
    torch.backends.cudnn.benchmark = device.type == "cuda"
    config = prior_config(given)
    images = torch.from_numpy(pictures)
    trainer = PriorTrainer(config, images[:-HELD_OUT], device)
    training = _Training(trainer, given, config)
    if not training.continued() and given.origin:
        left = trainer.start_from(load_prior(given.origin))
        print(f"started from {given.origin}, except {', '.join(left) or 'nothing'}", flush=True)
    training.run()
    networks, samples = trainer.prior(), _samples(trainer, HELD_OUT)
    card = _card(training, config, command, weights_digest(networks))
    _save(networks, card, given.out)
    card = card.model_copy(update={"figures": _figures(images, samples)})  # slow, and an interruption costs only them
    _save(networks, card, given.out)
    print(f"{given.out}: {given.out.stat().st_size:,} bytes\n{card.model_dump_json(indent=2)}", flush=True)
    if given.sheet:
        given.sheet.write_bytes(encode_png(_sheet(images[-ON_SHEET:], samples[:ON_SHEET])))
    return card


def prior_config(given: argparse.Namespace) -> dict[str, Any]:
    """The configuration of the training: the preset's defaults, but for what suits many pictures."""
    # Drawn surfaces have every symmetry: their directions and their light are drawn from all around.
    symmetric = dict.fromkeys(("horizontal_flip", "vertical_flip", "transposition"), True)
    overrides = PRESETS[PRESET].overrides.model_validate(
        {
            "batch_size": given.batch_size,
            "learning_rate": given.learning_rate,
            "gradient_penalty": given.gradient_penalty,
            "ema_half_life_images": given.ema_images,
            "augment_probability": given.augment_probability,
            "cuda_graph": given.cuda_graph,
            "narrow_ends": given.resolution >= NARROW_ENDS_FROM,
            "kinds": 1,
            **symmetric,
            **given.overrides,
        }
    )
    named = {"resolution": given.resolution, "channels": given.channels, "seed": given.seed}
    return named | overrides.model_dump()


class _Training:
    """The steps of a training, its saved state, and what it prints.

    Attributes:
        seconds: of training, those before this process included.
    """

    def __init__(self, trainer: PriorTrainer, given: argparse.Namespace, config: dict[str, Any]) -> None:
        self.trainer, self.given = trainer, given
        self.state_file = given.out.with_suffix(".state.safetensors")
        self.config = json.dumps(config, sort_keys=True)
        self.seconds = 0.0

    @property
    def progress(self) -> float:
        if self.given.steps:
            return self.trainer.completed_steps / int(self.given.steps)
        return self.seconds / float(self.given.seconds)

    def continued(self) -> bool:
        """Continues from the saved state, if there is one. Raises ValueError if it is of another configuration."""
        if not self.state_file.exists():
            return False
        with safe_open(self.state_file, framework="pt") as file:
            metadata = file.metadata()
        if metadata["config"] != self.config:
            raise ValueError(f"{self.state_file} is of another configuration; delete it to begin anew")
        self.trainer.load_state_dict(load_file(self.state_file))
        self.seconds = float(metadata["seconds"])
        print(f"continued after {self.trainer.completed_steps} steps and {self.seconds:.0f} s", flush=True)
        return True

    def run(self) -> None:
        """Trains to the end, and saves the state there. Raises Diverged."""
        saved = printed = self.seconds
        steps, losses = self.trainer.completed_steps, dict[str, float]()
        while self.progress < 1:
            begun = time.monotonic()
            measured = self.trainer.step(self.progress)
            if self.trainer.completed_steps % READ_EVERY_STEPS == 0:  # reading waits for the device
                losses = _finite(measured)
            self.seconds += time.monotonic() - begun
            if self.seconds - printed >= PRINTED_EVERY_SECONDS:
                shown = (self.trainer.completed_steps - steps) * self.trainer.batch_size
                self._print(shown / (self.seconds - printed), losses)
                printed, steps = self.seconds, self.trainer.completed_steps
            if self.seconds - saved >= SAVED_EVERY_SECONDS:
                self.save()
                saved = self.seconds
        self.save()

    def save(self) -> None:
        state = {name: each.detach().cpu().contiguous() for name, each in self.trainer.state_dict().items()}
        incomplete = self.state_file.with_suffix(".incomplete")
        save_file(state, incomplete, metadata={"config": self.config, "seconds": str(self.seconds)})
        incomplete.replace(self.state_file)

    def _print(self, rate: float, losses: dict[str, float]) -> None:
        words = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        peak = torch.cuda.max_memory_allocated() / 2**30 if self.trainer.device.type == "cuda" else 0.0
        step = self.trainer.completed_steps
        print(
            f"{self.seconds:.0f} s, step {step}, {rate:.0f} images/s, peak {peak:.2f} GiB of the GPU; {words}",
            flush=True,
        )


def _pictures(given: argparse.Namespace) -> NDArray[np.uint8]:
    """Those of the file, or drawn now. Raises ValueError if the file has others than the options ask for."""
    shape = given.pictures + HELD_OUT, given.channels, given.resolution, given.resolution
    if given.drawn and given.drawn.exists():
        kept: NDArray[np.uint8] = np.load(given.drawn)
        if kept.shape != shape:
            raise ValueError(f"{given.drawn} has pictures of shape {kept.shape}, not {shape}; name another file")
        return kept
    pictures, done = np.empty(shape, np.uint8), 0
    for part in chunks(given.seed * SEEDS_APART, shape[0], given.resolution, given.channels, given.processes):
        pictures[done : done + len(part)] = part
        done += len(part)
    if given.drawn:
        np.save(given.drawn, pictures)
    return pictures


def _card(training: _Training, config: dict[str, Any], command: str, weights_sha256: str) -> PriorCard:
    """Without figures."""
    trainer = training.trainer
    return PriorCard(
        preset=PRESET,
        config=config,
        weights_sha256=weights_sha256,
        command=command,
        seed=trainer.config.seed,
        pictures=len(trainer.images),
        steps=trainer.completed_steps,
        images=trainer.completed_steps * trainer.batch_size,
        seconds=round(training.seconds, 1),
        device=_device_name(trainer.device),
        figures={},
    )


def _save(networks: Networks, card: PriorCard, path: Path) -> None:
    incomplete = path.with_suffix(".incomplete")
    save_prior(networks, card, incomplete)
    incomplete.chmod(0o644)  # safetensors gives it to its owner alone
    incomplete.replace(path)


def _samples(trainer: PriorTrainer, count: int) -> Tensor:
    """Of the averaged generator: (count, C, side, side) uint8."""
    latents = torch.randn(count, trainer.generator.latent_size, generator=torch.Generator().manual_seed(0))
    types = torch.zeros(SAMPLED_AT_ONCE, dtype=torch.int64, device=trainer.device)
    return torch.cat(
        [
            render(trainer.ema.module, part.to(trainer.device), types[: len(part)])
            for part in latents.split(SAMPLED_AT_ONCE)
        ]
    )


def _figures(pictures: Tensor, samples: Tensor) -> dict[str, float]:
    """The samples beside held-out drawn surfaces, by the quality measures of an evaluation that give a number."""
    evaluator = Evaluator([pictures[:-HELD_OUT][:COMPARED]], [pictures[-HELD_OUT:]])
    signals = evaluator.signals([samples]).items()
    return {name: round(value, 4) for name, value in signals if math.isfinite(value)}


def _sheet(pictures: Tensor, samples: Tensor) -> Any:
    """Drawn pictures to the left, generated ones to the right."""
    halves = [grid(list(map(to_image, each.permute(0, 2, 3, 1).numpy())), COLUMNS) for each in (pictures, samples)]
    return grid(halves, 2, gap=12)


def _finite(measured: dict[str, Tensor]) -> dict[str, float]:
    losses = {name: float(value) for name, value in measured.items()}
    if not np.isfinite(list(losses.values())).all():
        raise Diverged(f"a loss is not finite: {losses}; the same command goes back to the state saved last")
    return losses


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"


def options() -> argparse.ArgumentParser:
    """Of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--resolution", type=int, default=64, help="side in pixels")
    add("--channels", type=int, default=1, choices=sorted(CHANNELS.values()), help="1: gray, 3: colour")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--seconds", type=float, help="of training; 0 only draws the pictures, for --drawn")
    length.add_argument("--steps", type=int, help="of training, instead")
    add("--pictures", type=int, default=40_000, help="to train on")
    add("--processes", type=int, default=1, help="that draw them")
    add("--drawn", type=Path, help="a .npy file that keeps them; where it exists, they are read from it")
    add("--seed", type=int, default=0, help="of pictures and training")
    add("--device", default="cpu", help="cpu or cuda")
    add("--from", dest="origin", type=Path, help="a prior to start from, such as the gray one for the colour one")
    add("--out", type=Path, required=True, help="the .safetensors file")
    add("--sheet", type=Path, help="a .png of drawn pictures beside generated ones")
    add("--batch-size", type=int, default=64)
    add("--learning-rate", type=float, default=4e-4, help="falls to a quarter")
    add("--gradient-penalty", type=float, default=0.5)
    add("--ema-images", type=int, default=50_000, help="half-life of the averaged generator, in pictures shown")
    add("--augment-probability", type=float, default=0.2, help="many pictures need little augmentation")
    add("--cuda-graph", action="store_true", help="record the step once and replay it")
    add("--overrides", type=json.loads, default={}, help="other values of the preset, as JSON")
    return parser


if __name__ == "__main__":
    main()
