"""Measures whether compositions help a segmenter: real photographs only, augmented, pasted and generated defects.

    python -m benchmarks.segmentation --out FOLDER [--sets plates tiles] [--tiles MAGNETIC_TILES] [--labelled 5 50]
        [--repeats 3] [--shown 3200] [--steps 600] [--minutes 20] [--sheet SHEET.png]

Sets are `plates` (`benchmarks.plates`) and `tiles`, the magnetic tiles in a folder with `MT_Blowhole` and `MT_Free`.
Arms, each with what the one before has and as many steps: `real`; `augmented`: mirrored, turned, scaled, relit;
`pasted`: half of the squares with a defect show an annotated defect on a clean photograph; `generated`: they show a
defect of a generator that was trained on these same few annotated defects, with a mask learned from their masks.

Finished arms stay in FOLDER; the same command goes on from there, and `--minutes` makes a piece. Prints the table of
what is finished. See docs/labels.md.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.kept_scores import KeptScores, OutOfTime
from benchmarks.segmentation_network import STEPS, PixelScores, scores_of, trained
from benchmarks.segmentation_sets import Photograph, SegmentationSet, drawn_plates, magnetic_tiles
from benchmarks.segmentation_table import printed
from benchmarks.small_generators import crops_of, generated_patches, trained_generator
from flawsmith.core.store.images import encode_png, grid
from flawsmith.models.compositions import Patch, UnplaceableError, compose, measured_rules, patches_of

ARMS = ("real", "augmented", "pasted", "generated")
SETS = ("plates", "tiles")
TYPE = "defect"  # one for all: of five defects some types would have one
COMPOSITIONS = 40
PER_IMAGE = {"plates": (3, 5), "tiles": (1, 3)}
SAMPLES = 200  # of a generator, to take patches from


@dataclass(frozen=True)
class Trial:
    """So many labelled defects of a set, chosen by the seed, which is that of networks and compositions, too."""

    name: str
    photographs: SegmentationSet
    labelled: int
    seed: int


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--sets", nargs="+", choices=SETS, default=["plates"])
    options.add_argument("--tiles", type=Path)
    options.add_argument("--labelled", type=int, nargs="+", default=[5, 50])
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--shown", type=int, default=3200, help="photographs to train a generator")
    options.add_argument("--steps", type=int, default=STEPS, help="of a segmenter")
    options.add_argument("--minutes", type=float)
    options.add_argument("--sheet", type=Path, help="writes compositions of the first trial of each set, and ends")
    given = options.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    end = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    loaded = {"plates": cache(drawn_plates), "tiles": cache(partial(_tiles, given.tiles))}
    kept = KeptScores(PixelScores, given.out / f"scores-{given.steps}-{given.shown}.json", end)
    for seed in range(given.repeats):
        for labelled in given.labelled:
            for name in given.sets:
                trial = Trial(name, loaded[name](), labelled, seed)
                if given.sheet:
                    _write_sheet(given.sheet, trial, given.out, given.shown)
                    continue
                try:
                    _score(trial, kept, given)
                except OutOfTime:
                    print("out of time; the same command goes on")
                    return
        if given.sheet:
            return
    print(printed(kept.scored, given.sets, given.labelled, given.repeats, ARMS))


def _tiles(folder: Path | None) -> SegmentationSet:
    if folder is None:
        raise SystemExit("give the folder of the magnetic tiles: --tiles FOLDER")
    return magnetic_tiles(folder)


def _score(trial: Trial, kept: KeptScores[PixelScores], given: argparse.Namespace) -> None:
    for arm in ARMS:
        found = kept.scores(f"{trial.name}/{trial.labelled}/{trial.seed}/{arm}", partial(_arm, trial, arm, given))
        print(f"{trial.name}, {trial.labelled} labelled, seed {trial.seed}, {arm}: {found}", flush=True)


def _arm(trial: Trial, arm: str, given: argparse.Namespace) -> PixelScores:
    real = trial.photographs.labelled(trial.labelled, trial.seed)
    made = composed(trial, real, patches_for(trial, arm, given.out, given.shown)) if arm in ARMS[2:] else []
    network = trained(real, trial.photographs.clean, made, augmented=arm != "real", seed=trial.seed, steps=given.steps)
    return scores_of(network, trial.photographs.test)


def patches_for(trial: Trial, arm: str, out: Path, shown: int) -> list[Patch]:
    """The defects to place: of the labelled photographs, or of a generator that learned from them, kept in a file."""
    real = trial.photographs.labelled(trial.labelled, trial.seed)
    if arm == "pasted":
        return [patch for each in real for patch in patches_of(each.pixels, each.mask, TYPE, each.name)]
    file = out / f"patches-{trial.name}-{trial.labelled}-{trial.seed}-{shown}.npz"
    if not file.exists():
        crops = crops_of(real, [TYPE] * len(real), trial.seed, shown)
        patches = generated_patches(crops, trained_generator(crops, shown), SAMPLES, trial.seed)
        print(f"{len(crops.images)} squares; {len(patches)} of {SAMPLES} generated images can be placed", flush=True)
        pixels, masks = ([getattr(each, name) for each in patches] for name in ("pixels", "mask"))
        np.savez_compressed(file, pixels=np.array(pixels), masks=np.array(masks))
    with np.load(file) as opened:
        pairs = zip(opened["pixels"], opened["masks"], strict=True)
        return [Patch(pixels, mask, TYPE, str(number)) for number, (pixels, mask) in enumerate(pairs)]


def composed(trial: Trial, real: Sequence[Photograph], patches: Sequence[Patch]) -> list[Photograph]:
    """Compositions on the clean photographs in turn, turned and scaled as the labelled defects' masks show.

    None where there are no patches, or none is seen on any of them.
    """
    shown = [patch for each in real for patch in patches_of(each.pixels, each.mask, TYPE, each.name)]
    rules, made, hosts = measured_rules(shown), list[Photograph](), trial.photographs.clean
    for attempt in range(4 * COMPOSITIONS if patches else 0):
        host, seed = hosts[attempt % len(hosts)], 1000 * trial.seed + attempt
        try:
            found = compose(host.pixels, patches, seed, per_image=PER_IMAGE[trial.name], rules=rules)
        except UnplaceableError:
            continue
        made.append(Photograph(f"composition-{seed}", found.pixels, found.mask, TYPE))
        if len(made) == COMPOSITIONS:
            break
    return made


def _write_sheet(target: Path, trial: Trial, out: Path, shown: int) -> None:
    """Squares of 96 pixels around defects: labelled ones, pasted ones, generated ones, a row each, masks below."""
    real = trial.photographs.labelled(trial.labelled, trial.seed)
    rows: list[Image.Image] = []
    kinds: list[Callable[[], Sequence[Photograph]]] = [
        lambda: real,
        *(partial(composed, trial, real, patches_for(trial, arm, out, shown)) for arm in ARMS[2:]),
    ]
    for kind in kinds:
        squares = [_square(each) for each in kind()[:10]]
        squares += [squares[each % len(squares)] for each in range(10 - len(squares))]
        rows += [pixels for pixels, _ in squares] + [mask for _, mask in squares]
    place = target.with_stem(f"{target.stem}-{trial.name}-{trial.labelled}")
    place.write_bytes(encode_png(grid(rows, 10)))


def _square(photograph: Photograph, side: int = 96) -> tuple[Image.Image, Image.Image]:
    rows, columns = np.nonzero(photograph.mask)
    at = len(rows) // 2
    (top, left) = (
        int(np.clip(place - side // 2, 0, size - side))
        for place, size in zip((rows[at], columns[at]), photograph.mask.shape, strict=True)
    )
    window = slice(top, top + side), slice(left, left + side)
    return Image.fromarray(photograph.pixels[window]), Image.fromarray(photograph.mask[window].astype(np.uint8) * 255)


if __name__ == "__main__":
    main()
