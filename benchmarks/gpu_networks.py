"""What `benchmarks.gpu` finds out about `fewshot` without a service: recorded steps, and sampling."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.training import PHOTOGRAPHS, config_of
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.models.inference.session import Precision, device_kind
from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.training.symmetries import SYMMETRIES
from flawsmith.worker.determinism import choose_kernels
from flawsmith.worker.published_generator import PublishedGenerator
from flawsmith.worker.qualification import qualify

STEPS = 16  # so many plain and recorded ones are compared
COMPARED = 4 * MICRO_BATCH  # images, with those of a CPU
TYPE = "noise"
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


@dataclass(frozen=True)
class GraphDifference:
    """The largest difference of any weight or moment after so many steps.

    Attributes:
        recorded_apart: of a run whose steps were recorded from one that made them one by one.
        plain_apart: of two runs of the latter kind; a GPU adds up in no fixed order.
        steps: of each run.
        recorded: whether a graph was recorded at all.
    """

    recorded_apart: float
    plain_apart: float
    steps: int
    recorded: bool


def graph_difference(side: int, device: torch.device, overrides: Mapping[str, Any]) -> GraphDifference:
    """Trains equal runs on noise, two of them step by step and one with a captured CUDA graph."""
    plain, again, recorded = (_trainer(side, device, overrides, graph) for graph in (False, False, True))
    for step in range(STEPS):
        for run in (plain, again, recorded):
            run.step(step / STEPS)
    captured = recorded.captured is not None and recorded.captured.recorded
    return GraphDifference(_apart(recorded, plain), _apart(again, plain), STEPS, captured)


def deterministic_difference(side: int, device: torch.device, overrides: Mapping[str, Any]) -> float:
    """The largest difference of two equal runs with recorded steps and the kernels of a deterministic job."""
    choose_kernels(True)
    try:
        run, again = (_trainer(side, device, overrides, graph=True) for _ in range(2))
        for step in range(STEPS):
            for each in (run, again):
                each.step(step / STEPS)
        return _apart(run, again)
    finally:
        choose_kernels(False)


def sampling_figures(side: int, device: torch.device, seconds: float, overrides: Mapping[str, Any]) -> dict[str, str]:
    """By precision, how fast a generator of that side samples on the device, and how far from a CPU in float32."""
    trainer = _trainer(side, device, overrides, graph=True)
    trainer.step(0.0)
    config = {**vars(trainer.config), "classes": [TYPE]}
    weights = trainer.networks()["generator"]
    addresses = [Address(TYPE, seed) for seed in range(COMPARED)]
    exact = _published(config, weights, "float32", torch.device("cpu"))
    wanted = _images(exact, addresses)
    chosen = qualify("fewshot", config, weights, device)
    found = {}
    for precision in PRECISIONS:
        generator = _published(config, weights, precision, device)
        apart = int(np.abs(_images(generator, addresses).astype(int) - wanted).max())
        qualified = ", which its qualification chooses" if precision == chosen else ""
        found[precision] = (
            f"{_rate(generator, seconds):,.0f} images/s in batches of {MICRO_BATCH}, "
            f"at most {apart} gray level{'' if apart == 1 else 's'} from the CPU's{qualified}"
        )
    return found


def _trainer(side: int, device: torch.device, overrides: Mapping[str, Any], graph: bool) -> FewshotTrainer:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (PHOTOGRAPHS, 1, side, side), generator=random, dtype=torch.uint8)
    config = config_of("fewshot", side, {**overrides, **dict.fromkeys(SYMMETRIES, True), "cuda_graph": graph})
    types = torch.zeros(PHOTOGRAPHS, dtype=torch.int64)
    return FewshotTrainer(FewshotConfig(**config), images, types, 1, device)


def _apart(run: FewshotTrainer, other: FewshotTrainer) -> float:
    wanted = other.state_dict()
    pairs = ((each.double(), wanted[name].double()) for name, each in run.state_dict().items())
    return max((each - others).abs().max().item() for each, others in pairs)


def _published(
    config: dict[str, Any], weights: dict[str, torch.Tensor], precision: Precision, device: torch.device
) -> PublishedGenerator:
    return PublishedGenerator(
        weights,
        preset="fewshot",
        config=config,
        classes=[TYPE],
        precision=precision,
        qualified_on=device_kind(device),
        device=device,
    )


def _images(generator: PublishedGenerator, addresses: list[Address]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    starts = range(0, len(addresses), MICRO_BATCH)
    return np.concatenate([generator.sample_batch(addresses[start : start + MICRO_BATCH]) for start in starts])


def _rate(generator: PublishedGenerator, seconds: float) -> float:
    """Images a second, latents and the way back to the CPU included."""
    begun, images = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begun) < seconds or not images:
        generator.sample_batch([Address(TYPE, images + each) for each in range(MICRO_BATCH)])
        images += MICRO_BATCH
    return images / elapsed
