"""Prints how often the score of single images ranks a photograph before a damaged one; 50 % is chance.

    python -m benchmarks.image_score PHOTOGRAPHS.zip [--types scratches …] [--resolution 64] [--held-out 30]

All types are learned at once, as a version of several types does. See docs/quality-floor.md.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.models.quality.controls import REMOVED, SMOOTHED, STATIC
from flawsmith.models.quality.image_score import image_score
from flawsmith.models.quality.judgement import JudgedPhotographs, calibrate

SHOWN = (REMOVED, SMOOTHED, "blurred 2 px", STATIC)
PASSES = 20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("photographs", type=Path)
    options.add_argument("--types", nargs="+", help="folders of the archive; default: all")
    options.add_argument("--resolution", type=int, default=64)
    options.add_argument("--held-out", type=int, default=30, help="photographs of each type")
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        datasets = Datasets(ArtifactStore(Path(folder)), Settings())
        squares = datasets.load(datasets.add_archive("photographs", given.photographs)[0].id, given.resolution)
    images, types = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous(), given.types or squares.classes
    of_type = [images[torch.from_numpy(squares.type_index == squares.classes.index(name))] for name in types]
    _show(types, [each[given.held_out :] for each in of_type], [each[: given.held_out] for each in of_type])


def _show(types: list[str], training: list[Tensor], holdout: list[Tensor]) -> None:
    unmasked: list[list[Tensor | None]] = [[None] * len(each) for each in (*training, *holdout)]
    calibration = calibrate(JudgedPhotographs(types, training, holdout, unmasked[: len(types)], unmasked[len(types) :]))
    found = image_score(calibration)
    if found is None:
        raise SystemExit("no type has a score")
    print(f"| type | {' | '.join(SHOWN)} | 16 images, one core |\n|{'---|' * (len(SHOWN) + 2)}")
    for index, (name, each, pool) in enumerate(zip(types, calibration.types, calibration.folds[0].pools, strict=True)):
        if math.isnan(found.score.scales[index][0]):
            print(f"| {name} | no score |{' |' * len(SHOWN)}")
            continue
        begun = time.process_time()
        for _ in range(PASSES):
            found.score(each.images[:16], [index] * 16)
        milliseconds = 1000 * (time.process_time() - begun) / PASSES
        own = torch.tensor(found.photographs[index])
        worse = [each.controls[control][pool.members] for control in SHOWN]
        scores = [torch.tensor(found.score(of, [index] * len(of))) for of in worse]
        shares = [(own[:, None] > score).float().mean().item() for score in scores]
        print(f"| {name} | {' | '.join(f'{share:.0%}' for share in shares)} | {milliseconds:.1f} ms |")


if __name__ == "__main__":
    main()
