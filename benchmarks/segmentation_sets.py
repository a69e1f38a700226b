"""Photographs with exact masks, split so that no arm of `benchmarks.segmentation` sees what it is tested on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.plates import DEFECTS, SIDE, plate

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

PLATE_SEED, TEST_SEED = 0, 1  # of the plates to learn from, and of those to test on
APART = 80  # between the numbers of magnetic tiles, up to which they may show one tile in another light
TILE_TYPE = "MT_Blowhole"  # the other types are mostly longer than a generated square
TEST_SHARE = 0.4  # of the tiles that show a defect


@dataclass(frozen=True)
class Photograph:
    """A photograph whose every pixel is labelled.

    Attributes:
        name: of its file.
        pixels, mask: (H, W); the mask of a clean one is empty.
        group: of those to learn from, what takes turns: a drawn plate's type, the tile that a photograph shows.
    """

    name: str
    pixels: Pixels
    mask: Mask
    group: str


@dataclass(frozen=True)
class SegmentationSet:
    """What is learned from, and what is tested on; nothing is in both.

    Attributes:
        defects: photographs with a defect, to choose labelled ones from.
        clean: photographs without any, the same for all arms.
        test: with and without.
    """

    defects: Sequence[Photograph]
    clean: Sequence[Photograph]
    test: Sequence[Photograph]

    def labelled(self, count: int, seed: int) -> list[Photograph]:
        """So many of the photographs with a defect; groups take turns. Fewer are the first of more."""
        random = np.random.default_rng([seed, 7])
        shuffled = [self.defects[each] for each in random.permutation(len(self.defects))]
        groups: dict[str, list[Photograph]] = {}
        for each in shuffled:
            groups.setdefault(each.group, []).append(each)
        turns = zip_longest(*groups.values())
        chosen = [each for turn in turns for each in turn if each is not None][:count]
        if len(chosen) < count:
            raise ValueError(f"the set has {len(chosen)} photographs with a defect, not {count}")
        return chosen


def drawn_plates(defects: int = 60, clean: int = 30, tested: int = 36, tested_clean: int = 18) -> SegmentationSet:
    """Plates of `benchmarks.plates`; those to test on are of another seed."""
    names = list(DEFECTS)

    def with_defect(seed: int, count: int) -> list[Photograph]:
        kinds = [(names[each % len(names)], each // len(names)) for each in range(count)]
        return [_drawn(name, number, seed) for name, number in kinds]

    def without(seed: int, count: int) -> list[Photograph]:
        return [_drawn(None, number, seed) for number in range(count)]

    test = with_defect(TEST_SEED, tested) + without(TEST_SEED, tested_clean)
    return SegmentationSet(with_defect(PLATE_SEED, defects), without(PLATE_SEED, clean), test)


def magnetic_tiles(folder: Path, clean: int = 60, tested_clean: int = 40) -> SegmentationSet:
    """Blowholes of the magnetic tile set (Huang et al. 2018, doi:10.1007/s00371-018-1588-5), and clean tiles.

    A tile was photographed up to six times, in another light; all of its photographs are on one side of the split.

    Args:
        folder: with `MT_Blowhole/Imgs`, `MT_Free/Imgs`.
    """
    files = sorted(folder.glob("MT_*/Imgs/*.jpg"))
    tiles = tile_groups([_number(each) for each in files])
    found = dict(zip(files, tiles, strict=True))
    random = np.random.default_rng(0)
    with_defect = [each for each in files if each.parts[-3] == TILE_TYPE]
    shown = sorted({found[each] for each in with_defect})
    held_out = set(random.permutation(shown)[: round(TEST_SHARE * len(shown))].tolist())
    free = [each for each in files if each.parts[-3] == "MT_Free"]
    others = sorted({found[each] for each in free} - set(shown))
    held_out |= set(random.permutation(others)[: len(others) // 2].tolist())
    spread = [free[each] for each in random.permutation(len(free))]

    def loaded(files: Sequence[Path], most: int | None, *, tested: bool) -> list[Photograph]:
        chosen = [each for each in files if (found[each] in held_out) == tested][:most]
        return [_tile(each, found[each]) for each in chosen]

    test = loaded(with_defect, None, tested=True) + loaded(spread, tested_clean, tested=True)
    return SegmentationSet(loaded(with_defect, None, tested=False), loaded(spread, clean, tested=False), test)


def tile_groups(numbers: Sequence[int]) -> list[int]:
    """For each photograph's number, that of the first in its group: the camera counted on from light to light."""
    first: dict[int, int] = {}
    before = begun = -APART - 1
    for number in sorted(set(numbers)):
        begun = number if number - before > APART else begun
        first[number], before = begun, number
    return [first[each] for each in numbers]


def _drawn(name: str | None, number: int, seed: int) -> Photograph:
    drawn = plate(name, number, seed, SIDE)
    return Photograph(f"{name or 'good'}-{seed}-{number}", drawn.pixels, drawn.mask, name or "good")


def _number(file: Path) -> int:
    found = re.search(r"_num_(\d+)$", file.stem)
    if found is None:
        raise ValueError(f"{file.name} is not named as the magnetic tiles are: exp1_num_108719.jpg")
    return int(found[1])


def _tile(file: Path, group: int) -> Photograph:
    pixels = np.asarray(Image.open(file).convert("L"))
    mask = np.asarray(Image.open(file.with_suffix(".png")).convert("L")) > 127
    return Photograph(file.name, pixels, mask, str(group))
