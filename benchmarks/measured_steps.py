"""Measures steps for the table that estimates fall back on: photographs a second, and the peak memory of the process.

    python -m benchmarks.measured_steps [--threads 2] [--seconds 6]

Each preset and resolution is measured in a process of its own. It prints the lines of `RATES` in
`core/domain/presets/measured_steps.py`, and what its figures of memory follow from, in MiB: the peak of the process
before the first trainer, after some steps, and after an evaluation; the feature maps of a batch; weights, gradients and
moments.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

import flawsmith.worker.training  # noqa: F401 (what a worker loads counts as its memory)
from benchmarks.noise_photographs import noise_dataset
from benchmarks.serving.machine import machine
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.training_config import resolve, trainer_config
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.models.presets.registry import build_trainer

PHOTOGRAPHS = 200
SIDES = {"fewshot": (32, 64, 128, 256), "dcgan": (32, 64, 128)}
WARM_STEPS = 2
MEMORY = ("before", "stepped", "evaluated", "maps", "weights")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    options.add_argument("--one", nargs=2, metavar=("PRESET", "SIDE"), help="only this one, as JSON")
    given = options.parse_args()
    if given.one:
        print(json.dumps(_measured(given.one[0], int(given.one[1]), given.threads, given.seconds)))
        return
    print(machine())
    for preset, sides in SIDES.items():
        for side in sides:
            command = [sys.executable, "-m", "benchmarks.measured_steps", "--one", preset, str(side)]
            command += ["--threads", str(given.threads), "--seconds", str(given.seconds)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            memory = ", ".join(f"{name} {found[name] / 2**20:.0f}" for name in MEMORY)
            print(f'    ("{preset}", {side}): {found["rate"]:.1f},  # {memory}', flush=True)


def _measured(preset: str, side: int, threads: int, seconds: float) -> dict[str, float]:
    torch.set_num_threads(threads)
    dataset = noise_dataset(PHOTOGRAPHS, side)
    config = resolve(TrainingRequest(dataset="steel", model="m", preset=preset, resolution=side), dataset)
    fields = trainer_config(preset, config)
    images = torch.randint(0, 256, (PHOTOGRAPHS, 1, side, side), dtype=torch.uint8)
    before = _peak_bytes()
    trainer = build_trainer(preset, fields, images, torch.zeros(PHOTOGRAPHS, dtype=torch.int64), 1, torch.device("cpu"))
    for _ in range(WARM_STEPS):
        trainer.step(0.0)
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        trainer.step(0.0)
        steps += 1
    rate = steps * trainer.batch_size / (time.perf_counter() - begun)
    stepped = _peak_bytes()
    trainer.evaluate()
    layers = PRESETS[preset].layers(config)
    assert layers is not None
    return {
        "rate": rate,
        "before": before,
        "stepped": stepped,
        "evaluated": _peak_bytes(),
        "maps": 4 * trainer.batch_size * layers.values,
        "weights": 5 * 4 * (layers.generator_weights + layers.discriminator_weights),
    }


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
