"""Shows what the verdict says of samplers whose truth is known: photographs returned, or made worse.

    python -m benchmarks.known_truths ARCHIVE --type scratches [--other inclusion] [--count 300] [--held-out 30]

Prints for each sampler the state and the sentence, the share that a classifier tells from photographs, and the seconds
of processor time that the verdict took beside the calibration.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.sight import SIDE, load
from flawsmith.models.quality.controls import noise_added, patches_shuffled, warped
from flawsmith.models.quality.judgement import JudgedPhotographs, Sampler, calibrate, judge_by
from flawsmith.models.quality.judging import Calibration
from flawsmith.models.quality.wiping import blurred, defect_masks, filled, median_filtered


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("photographs", type=Path, help="an archive with a folder for each type")
    options.add_argument("--type", default="scratches")
    options.add_argument("--other", help="another type of the archive")
    options.add_argument("--count", type=int, default=300)
    options.add_argument("--held-out", type=int, default=30, help="photographs of these")
    options.add_argument("--side", type=int, default=SIDE, help="in pixels")
    given = options.parse_args()
    torch.set_num_threads(1)
    images = load(given.photographs, given.type, given.side)
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))][: given.count]
    holdout, training = images[: given.held_out], images[given.held_out :]
    begun = time.process_time()
    nothing: list[list[Tensor | None]] = [[None] * len(each) for each in (training, holdout)]
    calibration = calibrate(JudgedPhotographs([given.type], [training], [holdout], nothing[:1], nothing[1:]))
    print(f"{len(training)} photographs and {len(holdout)} held out; calibrated in {time.process_time() - begun:.1f} s")
    for name, made in _samplers(training, holdout).items():
        _show(name, made(), calibration)
    if given.other:
        _show(f"photographs of '{given.other}'", load(given.photographs, given.other, given.side), calibration)


def _samplers(training: Tensor, holdout: Tensor) -> dict[str, Callable[[], Tensor]]:
    random = torch.Generator().manual_seed(1)
    return {
        "held-out photographs": lambda: holdout,
        "photographs trained on": lambda: training,
        "the same, flipped": lambda: training.flip(3),
        "one image repeated": lambda: training[:1],
        "uniform noise": lambda: torch.randint(0, 256, (200, *training.shape[1:]), generator=random).byte(),
        "defects wiped out": lambda: filled(holdout, defect_masks(holdout), 9),
        "median filter": lambda: median_filtered(holdout),
        "blurred by 1 px": lambda: blurred(holdout.float(), 1).round().byte(),
        "blurred by 1.3 px": lambda: blurred(holdout.float(), 1.3).round().byte(),
        "blurred by 2 px": lambda: blurred(holdout.float(), 2).round().byte(),
        "noise added": lambda: noise_added(holdout, random),
        "patches shuffled": lambda: patches_shuffled(holdout, random),
        "warped by 1 px": lambda: warped(holdout, 1, random),
    }


def _show(name: str, samples: Tensor, calibration: Calibration) -> None:
    begun = time.process_time()
    judgement = judge_by(calibration, _returning(samples))
    told = f"; {judgement.two_sample[0]:.0%} told apart" if judgement.two_sample else ""
    seconds = time.process_time() - begun
    print(f"{name:24}{judgement.state:9}{judgement.sentence}{told} ({seconds:.1f} s)", flush=True)


def _returning(samples: Tensor) -> Sampler:
    return lambda each_type, seed, count: samples[torch.arange(seed, seed + count) % len(samples)]


if __name__ == "__main__":
    main()
