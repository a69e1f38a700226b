"""Measures how many photographs per second are trained on, and compares that with the machine's arithmetic limit.

    python -m benchmarks.training [--resolution 64] [--rounds 5] [--threads 2] [--device cpu]

Each round measures every contender: the article's own loop, the preset `dcgan` (the same mathematics) in float32 and in
bfloat16, and the preset `fewshot`. The limit is the rate of operations of a large matrix product, measured in the same
run and precision, divided by the operations of one training step.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.article_loop import ArticleLoop
from benchmarks.noise_photographs import noise_dataset
from benchmarks.serving.machine import machine
from flawsmith.core.domain.training_config import resolve, trainer_config
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.models.presets.dcgan.trainer import DcganConfig
from flawsmith.models.presets.registry import build_trainer

PHOTOGRAPHS = 300
PRODUCT = 2048  # rows and columns of the matrices
WARM_STEPS = 3
ARTICLE = "the article's loop"


@dataclass
class Contender:
    """A trainer; each call of ``step`` trains on one batch."""

    step: Callable[[], Any]
    batch: int
    precision: str
    finish: Callable[[], None]  # waits until the device has finished
    rates: list[float] = field(default_factory=list)
    flops: float = 0.0  # floating-point operations of one image

    def measure(self, seconds: float) -> None:
        self.finish()
        begun, steps = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            self.step()
            steps += 1
        self.finish()
        self.rates.append(steps * self.batch / (time.perf_counter() - begun))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--resolution", type=int, default=64)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--device", default="cpu")
    options.add_argument("--override", nargs="*", default=[], metavar="NAME=VALUE", help="of dcgan")
    options.add_argument("--fewshot", nargs="*", default=[], metavar="NAME=VALUE", help="overrides of fewshot")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{machine()}; {given.threads} threads, {given.device}, {given.resolution} px")

    overrides, fewshot = (
        {name: json.loads(value) for name, value in (each.split("=") for each in numbers)}
        for numbers in (given.override, given.fewshot)
    )
    built = contenders(given.resolution, overrides, fewshot, torch.device(given.device))
    measured = {name: build() for name, build in built.items()}
    for each in measured.values():
        for _ in range(WARM_STEPS):
            each.step()
        with FlopCounterMode(display=False) as counted:
            each.step()
        each.flops = counted.get_total_flops() / each.batch
    products: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for _ in range(given.rounds):
        for precision, rates in products.items():
            rates.append(_product_rate(getattr(torch, precision), torch.device(given.device), given.seconds / 5))
        for each in measured.values():
            each.measure(given.seconds)
    _print(measured, {precision: median(rates) for precision, rates in products.items()})


def contenders(
    resolution: int, overrides: dict[str, Any], fewshot: dict[str, Any], device: torch.device
) -> dict[str, Callable[[], Contender]]:
    """What builds each of the contenders.

    Args:
        resolution: side of the images, in pixels.
        overrides: of the preset `dcgan`, for the article's loop too.
        fewshot: of that preset.
        device: where they train.
    """
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (PHOTOGRAPHS, 1, resolution, resolution), generator=random, dtype=torch.uint8)
    type_index = torch.zeros(PHOTOGRAPHS, dtype=torch.int64)

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def trainer(preset: str, **numbers: Any) -> Contender:
        config = config_of(preset, resolution, numbers)
        run = build_trainer(preset, config, images, type_index, 1, device)
        return Contender(lambda: run.step(0.5), run.batch_size, numbers.get("precision", "float32"), finish)

    def article() -> Contender:
        config = config_of("dcgan", resolution, overrides)
        loop = ArticleLoop(DcganConfig(**config), images, device)
        return Contender(loop.step, config["batch_size"], "float32", finish)

    return {
        ARTICLE: article,
        "dcgan, float32": partial(trainer, "dcgan", **overrides, precision="float32"),
        "dcgan, bfloat16": partial(trainer, "dcgan", **overrides, precision="bfloat16"),
        "fewshot": partial(trainer, "fewshot", **fewshot),
    }


def config_of(preset: str, resolution: int, overrides: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run on noise, defaults included."""
    dataset = noise_dataset(PHOTOGRAPHS, resolution)
    request = TrainingRequest(
        dataset="ds-1", model="m", preset=preset, resolution=resolution, overrides=overrides, steps=100_000
    )
    return trainer_config(preset, resolve(request, dataset))


def _product_rate(precision: torch.dtype, device: torch.device, seconds: float) -> float:
    """Floating-point operations per second of a matrix product; a multiplication and an addition count as two."""
    left, right = (torch.randn(PRODUCT, PRODUCT, device=device).to(precision) for _ in range(2))
    begun, products = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begun) < seconds:
        product = left @ right
        products += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
    del product
    return 2 * PRODUCT**3 * products / elapsed


def _print(measured: dict[str, Contender], products: dict[str, float]) -> None:
    article = measured[ARTICLE]
    print("| | images/s (lowest … highest) | of the article's loop | operations an image | of the arithmetic limit |")
    print("|---|---|---|---|---|")
    for name, each in measured.items():
        rate = median(each.rates)
        ratio = median(ours / theirs for ours, theirs in zip(each.rates, article.rates, strict=True))
        share = rate * each.flops / products[each.precision]
        print(
            f"| {name} | {rate:.1f} ({min(each.rates):.1f} … {max(each.rates):.1f}) | {ratio:.2f} | "
            f"{each.flops / 1e9:.2f} G | {share:.0%} |"
        )
    print("\nmatrix product: " + ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in products.items()))


if __name__ == "__main__":
    main()
