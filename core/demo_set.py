"""The demonstration set: procedural pictures of brushed steel with three types of defects."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from flawsmith.core.store.images import encode_png

Field = npt.NDArray[np.float32]  # (side, side), gray levels relative to those of the steel

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # a constant time, so that the same seed gives the same file


def write_demo_set(path: Path | IO[bytes], *, per_type: int = 100, side: int = 96, seed: int = 0) -> None:
    """Writes a zip with a folder for each of `DEFECT_TYPES`; the same arguments write the same bytes.

    Args:
        path: the zip, or an open file for it; an existing file is replaced.
        per_type: pictures in each folder.
        side: width and height of a picture, in pixels.
        seed: of the random numbers.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for index, defect_type in enumerate(DEFECT_TYPES):
            random = np.random.default_rng([seed, index])
            for number in range(1, per_type + 1):
                name = f"{defect_type}/{defect_type}_{number:03d}.png"
                archive.writestr(
                    zipfile.ZipInfo(name, _ZIP_EPOCH), encode_png(render_picture(defect_type, random, side))
                )


def render_picture(defect_type: str, random: np.random.Generator, side: int = 96) -> Image.Image:
    """One picture of mode L with side x side pixels.

    Raises:
        KeyError: the type is not one of `DEFECT_TYPES`.
    """
    defect = draw_defect(defect_type, random, side)
    steel = _brushed_steel(random, side) + defect
    return Image.fromarray(np.clip(steel + random.normal(0, 2.5, (side, side)), 0, 255).astype(np.uint8))


def draw_defect(defect_type: str, random: np.random.Generator, side: int = 96) -> Field:
    """The defect of the picture that `render_picture` renders with the same arguments.

    Raises:
        KeyError: the type is not one of `DEFECT_TYPES`.
    """
    return _DEFECTS[defect_type](random, side)


def _brushed_steel(random: np.random.Generator, side: int) -> Field:
    """Grain along the rows, lit from one side."""
    rows = np.arange(side, dtype=np.float32)[:, None] / side - 0.5
    columns = np.arange(side, dtype=np.float32)[None, :] / side - 0.5
    light = random.normal(128, 7) + random.normal(0, 10) * rows + random.normal(0, 10) * columns
    long_grain = 7 * _noise(random, side, radius_x=side / 3, radius_y=0.4)
    short_grain = 4 * _noise(random, side, radius_x=side / 16, radius_y=0.3)
    return np.asarray(light + long_grain + short_grain, np.float32)


def _noise(random: np.random.Generator, side: int, radius_x: float, radius_y: float) -> Field:
    """Smooth noise with mean 0 and standard deviation 1, correlated over the radii (in pixels)."""
    pad = int(2 * radius_x) + 2
    white = Image.fromarray(
        random.normal(0, 40, (side + 2 * pad, side + 2 * pad)).clip(-127, 127).astype(np.int8) + 127
    )
    smooth = white.convert("L").filter(ImageFilter.GaussianBlur((radius_x, radius_y)))
    field = np.asarray(smooth, np.float32)[pad:-pad, pad:-pad]
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-3), np.float32)


def _scratches(random: np.random.Generator, side: int) -> Field:
    """One to three bright, tapered lines across the grain, each with a dark edge."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    field = np.zeros((side, side), np.float32)
    for _ in range(random.integers(1, 4)):
        angle = random.normal(np.pi / 2, 0.16)
        across = (x - random.uniform(0.15, 0.85) * side) * np.sin(angle) - (y - side / 2) * np.cos(angle)
        along = (x - side / 2) * np.cos(angle) + (y - random.uniform(0.3, 0.7) * side) * np.sin(angle)
        width, reach = random.uniform(0.9, 2.2) * side / 96, random.uniform(0.3, 0.7) * side
        taper = np.clip(1.4 - (along / reach) ** 2, 0, 1)
        bright = np.exp(-((across / width) ** 2)) - 0.45 * np.exp(-(((across - 2.2 * width) / width) ** 2))
        field += random.uniform(70, 110) * taper * bright
    return field


def _blotches(random: np.random.Generator, side: int) -> Field:
    """One to three dark stains with uneven edges."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    ragged = _noise(random, side, radius_x=side / 18, radius_y=side / 18)
    field = np.zeros((side, side), np.float32)
    for _ in range(random.integers(1, 4)):
        centre_x, centre_y = random.uniform(0.15, 0.85, 2) * side
        radius = random.uniform(0.1, 0.24) * side
        distance = np.hypot(x - centre_x, (y - centre_y) * random.uniform(0.8, 1.3)) / radius
        stain = 1 / (1 + np.exp(9 * (distance - 1 + 0.16 * ragged)))
        field = np.minimum(field, -random.uniform(50, 80) * stain)
    return field


def _pits(random: np.random.Generator, side: int) -> Field:
    """A cluster of small dark holes, each with a bright rim on the unlit side."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    centre = random.uniform(0.3, 0.7, 2) * side
    field = np.zeros((side, side), np.float32)
    for _ in range(random.integers(6, 15)):
        pit_x, pit_y = centre + random.normal(0, 0.2, 2) * side
        radius = random.uniform(2.6, 5.2) * side / 96
        hole = np.exp(-(((x - pit_x) ** 2 + (y - pit_y) ** 2) / radius**2))
        rim = np.exp(-(((x - pit_x - radius) ** 2 + (y - pit_y - radius) ** 2) / radius**2))
        field += random.uniform(70, 100) * (0.6 * rim - hole)
    return field


_DEFECTS: dict[str, Callable[[np.random.Generator, int], Field]] = {
    "blotches": _blotches,
    "pits": _pits,
    "scratches": _scratches,
}
DEFECT_TYPES = tuple(_DEFECTS)
