"""Draws large photographs of brushed steel with one small defect each, its exact mask, and clean ones.

    python -m benchmarks.plates write PLATES.zip [--count 60] [--clean 60] [--side 512] [--seed 0]
    python -m benchmarks.plates sheet SHEET.png [--count 12] [--seed 0]

The archive has the layout of MVTec AD, so that POST /datasets understands it: `train/good`, `test/<type>` and
`ground_truth/<type>/…_mask.png`. Defects are 20 to 60 pixels long. The same arguments write the same bytes with the
same NumPy, SciPy and Pillow. The sheet has whole photographs with outlines, and beside each its defect, enlarged.
"""

import argparse
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from flawsmith.core.store.images import encode_png, grid

SIDE = 512
LENGTHS = (20.0, 60.0)  # pixels, of a defect's longer side
STREAKS = (4, 12)  # harmless ones of the brush on a plate, along its grain
CLOSE_UP = 96  # pixels around a defect in the sheet

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a constant time, so that the same arguments give the same file


@dataclass(frozen=True)
class Plate:
    """A photograph.

    Attributes:
        pixels: (side, side) uint8.
        mask: (side, side) bool, the pixels of its defect: those that it covers at least to a half; one connected part.
        defect_type: a key of `DEFECTS`; None: clean.
    """

    pixels: NDArray[np.uint8]
    mask: Mask
    defect_type: str | None


def plate(defect_type: str | None, number: int, seed: int = 0, side: int = SIDE) -> Plate:
    """Draws one: the same arguments, the same pixels.

    Args:
        defect_type: a key of `DEFECTS`, or None for a clean one.
        number: of the photograph among those of its type.
        seed: of the set.
        side: at least 128 pixels; defects keep their size.

    Raises:
        KeyError: the type is unknown.
    """
    index = 0 if defect_type is None else 1 + list(DEFECTS).index(defect_type) if defect_type in DEFECTS else -1
    if index < 0:
        raise KeyError(f"defect_type must be one of {', '.join(DEFECTS)}, not {defect_type}")
    random = np.random.default_rng([seed, index, number])
    surface = _steel(random, side)
    change, mask = np.zeros((side, side), np.float32), np.zeros((side, side), bool)
    if defect_type is not None:
        extent = int(LENGTHS[1]) + 36
        coverage, levels = DEFECTS[defect_type](random, extent)
        top, left = random.integers(4, side - extent - 4, 2)
        change[top : top + extent, left : left + extent] = coverage * levels
        mask[top : top + extent, left : left + extent] = _largest(coverage >= 0.5)
    seen = ndimage.gaussian_filter(surface + change, 0.5) + random.normal(0, 2.5, surface.shape)
    return Plate(np.clip(np.rint(seen), 0, 255).astype(np.uint8), mask, defect_type)


def write_archive(path: Path, *, count: int, clean: int, seed: int = 0, side: int = SIDE) -> None:
    """Writes a zip with `count` photographs with a defect, types in turn, and so many clean ones.

    An existing file is replaced.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(clean):
            _add(archive, f"plates/train/good/{number:03d}.png", plate(None, number, seed, side).pixels)
        for each in range(count):
            name, number = list(DEFECTS)[each % len(DEFECTS)], each // len(DEFECTS)
            drawn = plate(name, number, seed, side)
            _add(archive, f"plates/test/{name}/{number:03d}.png", drawn.pixels)
            _add(archive, f"plates/ground_truth/{name}/{number:03d}_mask.png", drawn.mask.astype(np.uint8) * 255)


def _add(archive: zipfile.ZipFile, name: str, pixels: NDArray[np.uint8]) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), encode_png(Image.fromarray(pixels)))


def _steel(random: np.random.Generator, side: int) -> Plane:
    """Grain along the rows, uneven light, and harmless streaks of the brush, as long as defects and longer."""
    rows, columns = (np.mgrid[0:side, 0:side] / side - 0.5).astype(np.float32)
    light = random.normal(128, 10) + random.normal(0, 16) * rows + random.normal(0, 16) * columns
    grain = 7 * _noise(random, side, 48, 0.4) + 4 * _noise(random, side, 7, 0.3) + 3 * _noise(random, side, 30, 30)
    surface = np.asarray(light + grain, np.float32)
    for _ in range(random.integers(*STREAKS)):
        y, length = int(random.integers(2, side - 2)), int(random.integers(15, 90))
        x = int(random.integers(0, side - length))
        fading = np.hanning(length + 2)[1:-1].astype(np.float32)
        surface[y, x : x + length] += random.uniform(14, 40) * random.choice([-1, 1]) * fading
    return surface


def _noise(random: np.random.Generator, side: int, radius_x: float, radius_y: float) -> Plane:
    """Smooth noise with mean 0 and standard deviation 1, correlated over the radii (in pixels)."""
    margin = int(2 * max(radius_x, radius_y)) + 2
    white = random.standard_normal((side + 2 * margin, side + 2 * margin), dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, (radius_y, radius_x), mode="nearest", truncate=2.5)
    field = smooth[margin:-margin, margin:-margin]
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), np.float32)


def _axes(random: np.random.Generator, extent: int, angle: float) -> tuple[Plane, Plane]:
    """Coordinates along and across a direction (radians) from the middle, bent a little."""
    y, x = (np.mgrid[0:extent, 0:extent] - (extent - 1) / 2).astype(np.float32)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return along, across + np.float32(random.normal(0, 2e-3)) * along**2


def _scratch(random: np.random.Generator, extent: int) -> tuple[Plane, Plane]:
    """A line across the grain, brighter or darker than it, with a shadow along one edge."""
    along, across = _axes(random, extent, random.normal(np.pi / 2, 0.5))
    half, width = random.uniform(*LENGTHS) / 2, random.uniform(1.0, 2.4)
    width = width * np.sqrt(np.clip(1.15 - (along / half) ** 2, 0.05, 1))
    coverage = _inside(width - np.abs(across)) * _inside(half - np.abs(along))
    contrast = random.choice([-1, 1], p=[0.35, 0.65]) * random.uniform(22, 80)
    uneven = 1 + 0.25 * _noise(random, extent, 4, 4)
    return coverage, np.asarray(contrast * uneven * np.where(across > 0.4 * width, -0.35, 1), np.float32)


def _blotch(random: np.random.Generator, extent: int) -> tuple[Plane, Plane]:
    """A stain with a ragged edge, darker towards it, through which the grain shows."""
    along, across = _axes(random, extent, random.uniform(0, np.pi))
    half = random.uniform(LENGTHS[0] * 1.1, LENGTHS[1] * 0.85) / 2
    distance = np.hypot(along, across / random.uniform(0.45, 0.95))
    ragged = 0.16 * half * _noise(random, extent, 5, 5)
    edge = half - distance + ragged
    drying = 1 + 0.5 * np.exp(-np.square(edge / 3))
    mottled = 1 + 0.2 * _noise(random, extent, 3, 3)
    return _inside(edge, 1.2), np.asarray(-random.uniform(12, 45) * drying * mottled, np.float32)


def _dent(random: np.random.Generator, extent: int) -> tuple[Plane, Plane]:
    """A round hollow, lit from the upper left as all plates are: one side dark, the other bright."""
    along, across = _axes(random, extent, random.uniform(0, np.pi))
    half = random.uniform(LENGTHS[0], 42) / 2
    inside = half - np.hypot(along, across / random.uniform(0.7, 1))
    y, x = (np.mgrid[0:extent, 0:extent] - (extent - 1) / 2).astype(np.float32)
    slope = (x + y) / (np.sqrt(2) * half)
    shading = np.tanh(1.8 * slope) * random.uniform(22, 60) - random.uniform(6, 20)
    return _inside(inside, 1.5), np.asarray(shading, np.float32)


def _inside(distance: Plane, softness: float = 0.7) -> Plane:
    """0 … 1, how much of a pixel lies within; 0.5 on the border."""
    return np.asarray(1 / (1 + np.exp(-np.clip(4 * distance / softness, -30, 30))), np.float32)


def _largest(mask: Mask) -> Mask:
    """Its largest connected part."""
    numbers, _ = ndimage.label(mask, np.ones((3, 3), int))
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    found: Mask = numbers == sizes.argmax()
    return found


Drawing = Callable[[np.random.Generator, int], tuple[Plane, Plane]]
DEFECTS: dict[str, Drawing] = {"blotches": _blotch, "dents": _dent, "scratches": _scratch}
"""Type -> random numbers, extent -> how much of each pixel the defect covers, 0 … 1, and by how many gray levels."""


def _outlined(drawn: Plate) -> Image.Image:
    """The whole photograph with its defect's outline, and beside it the defect alone, twice as large."""
    colour = np.repeat(drawn.pixels[:, :, None], 3, 2)
    around = ndimage.binary_dilation(drawn.mask, iterations=4) & ~ndimage.binary_dilation(drawn.mask, iterations=3)
    colour[around] = (255, 60, 60)
    rows, columns = np.nonzero(drawn.mask)
    top, left = (int(np.clip(each.mean() - CLOSE_UP / 2, 0, SIDE - CLOSE_UP)) for each in (rows, columns))
    window = slice(top, top + CLOSE_UP), slice(left, left + CLOSE_UP)
    parts = [drawn.pixels[window], drawn.mask[window].astype(np.uint8) * 255]
    sheet = Image.new("RGB", (3 * SIDE // 2 + 2, SIDE))
    sheet.paste(Image.fromarray(colour))
    for row, part in enumerate(parts):
        half = Image.fromarray(part).convert("RGB").resize((SIDE // 2, SIDE // 2), Image.Resampling.NEAREST)
        sheet.paste(half, (SIDE + 2, row * SIDE // 2))
    return sheet


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("write", "sheet"))
    options.add_argument("target", type=Path)
    options.add_argument("--count", type=int, default=60, help="photographs with a defect, types in turn")
    options.add_argument("--clean", type=int, default=60)
    options.add_argument("--side", type=int, default=SIDE)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    if given.what == "write":
        write_archive(given.target, count=given.count, clean=given.clean, seed=given.seed, side=given.side)
        return
    names = list(DEFECTS)
    shown = [plate(names[each % len(names)], each // len(names), given.seed) for each in range(given.count)]
    given.target.write_bytes(encode_png(grid([_outlined(each) for each in shown], 3, gap=6)))


if __name__ == "__main__":
    main()
