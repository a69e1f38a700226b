"""Measures the limits of the machine without HTTP: the generator alone, the encoder alone, and one after the other.

    python -m benchmarks.serving.limits [--seconds 5]

Generator and encoder share the cores, so their times add up: the limit is 1 / (1 / generator + 1 / encoder), each rate
measured on all cores. The generator's rate is the better of two: one pass on all cores, or one pass per core.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.serving.flawsmith_service import MODEL

if TYPE_CHECKING:
    pass

ON_ALL, PER_CORE, ENCODER_ONE, ENCODER, LIMIT, ENGINE = (
    "generator alone, one pass on all cores",
    "generator alone, one pass per core",
    "encoder alone, 1 thread",
    "encoder alone, all cores",
    "limit of generator and encoder",
    "the sampling engine",
)


def measure(data_dir: Path, seconds: float) -> dict[str, float]:
    """Images per second of each, for the newest version of the model `m` in a service's store."""
    cores = len(os.sched_getaffinity(0))
    forward, engine, encode = _parts(data_dir)
    rates = {
        ON_ALL: _rate(forward, seconds),
        PER_CORE: _rate_per_core(forward, seconds, cores),
        ENCODER_ONE: _rate(lambda: encode(1), seconds),
        ENCODER: _rate(lambda: encode(cores), seconds),
        ENGINE: _rate(engine, seconds),
    }
    generator = max(rates[ON_ALL], rates[PER_CORE])
    return rates | {LIMIT: 1 / (1 / generator + 1 / rates[ENCODER])}


def _parts(data_dir: Path) -> tuple[Callable[[], int], Callable[[], int], Callable[[int], int]]:
    """A pass of the generator, a batch of the engine with encoding, and the encoder on a number of threads.

    Each returns the number of images that it made.
    """
    import torch

    from flawsmith.core.domain.addresses import Address
    from flawsmith.core.domain.micro_batch import MICRO_BATCH
    from flawsmith.core.store.artifacts import ArtifactStore
    from flawsmith.core.store.registry import Registry
    from flawsmith.worker.engine import Engine

    registry = Registry(ArtifactStore(data_dir / "artifacts"))
    version = registry.resolve(MODEL)
    engine = Engine(registry, 1, torch.device("cpu"))
    session, encode_image = engine.generator(version.ref).session, engine.encoder(version.ref)
    latents = torch.randn(MICRO_BATCH, version.config["latent_size"])
    type_index = torch.zeros(MICRO_BATCH, dtype=torch.int64)
    pools = {threads: ThreadPoolExecutor(threads) for threads in {1, len(os.sched_getaffinity(0))}}
    seeds = count(0, MICRO_BATCH)

    def batch() -> list[tuple[Address, Any]]:
        start = next(seeds)
        addresses = [Address(version.classes[0], seed) for seed in range(start, start + MICRO_BATCH)]
        return list(zip(addresses, engine.sample(version.ref, addresses), strict=True))

    images = [each for _ in range(4) for each in batch()]

    def whole() -> int:
        return len([encode_image(*each) for each in batch()])

    def encode(threads: int) -> int:
        return len(list(pools[threads].map(lambda each: encode_image(*each), images)))

    return lambda: len(session.sample(latents, type_index)), whole, encode


def _rate(work: Callable[[], int], seconds: float) -> float:
    """Images per second, after a warm-up of a fifth of the time."""
    for duration in (seconds / 5, seconds):
        images, begun = 0, time.monotonic()
        while (elapsed := time.monotonic() - begun) < duration:
            images += work()
    return images / elapsed


def _rate_per_core(work: Callable[[], int], seconds: float, cores: int) -> float:
    """Images per second, summed over several threads, each of which computes on one core."""
    from flawsmith.worker.intra_op_threads import set_intra_op_threads

    with ThreadPoolExecutor(cores, initializer=set_intra_op_threads, initargs=(1,)) as threads:
        return sum(threads.map(lambda _: _rate(work, seconds), range(cores)))


def measure_apart(data_dir: Path, seconds: float) -> dict[str, float]:
    """Runs `measure` in a process of its own, as a sampling worker is one."""
    words = ["--data-dir", str(data_dir), "--seconds", str(seconds), "--json"]
    command = [sys.executable, "-m", "benchmarks.serving.limits", *words]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(printed))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5.0, help="of each of the five measurements")
    options.add_argument("--data-dir", type=Path, help="of a service with a model `m`; default: a new one")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    # As in the sampling worker. It is read once, when torch is loaded: so this file imports torch late.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if given.data_dir:
        rates = measure(given.data_dir, given.seconds)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _publish(Path(folder))
            rates = measure(Path(folder), given.seconds)
    print(json.dumps(rates) if given.json else _table(rates))


def _publish(folder: Path) -> None:
    from benchmarks.serving.article_generator import article_config, publish, save_weights

    config = article_config()
    publish(folder, MODEL, save_weights(folder, config), config)


def _table(rates: dict[str, Any]) -> str:
    from benchmarks.serving.machine import machine

    return "\n".join([machine(), *(f"{name:<40}{rate:8.1f} images/s" for name, rate in rates.items())])


if __name__ == "__main__":
    main()
