"""One drawn photograph: a surface, perhaps flaws, light, colour, camera."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawsmith.models.drawn_surfaces import (
    blotches,
    camera,
    colors,
    cracks,
    grain,
    inclusions,
    patterns,
    pits,
    scratches,
)
from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane, blank
from flawsmith.models.drawn_surfaces.directions import grain_direction
from flawsmith.models.drawn_surfaces.lighting import light

Drawing = Callable[[Canvas], Plane]

SIDES = (32, 1024)

# How often each is drawn. Public sets are sheet metal first of all, then cast parts, wood, leather, cloth, tiles.
SURFACES: dict[str, tuple[Drawing, float]] = {
    "rolled": (grain.rolled, 0.21),
    "brushed": (grain.brushed, 0.14),
    "ground": (grain.ground, 0.07),
    "cast": (grain.cast, 0.09),
    "speckled": (grain.speckled, 0.15),
    "polished": (grain.polished, 0.08),
    "painted": (grain.painted, 0.05),
    "stained": (grain.stained, 0.08),
    "woven": (patterns.woven, 0.03),
    "machined": (patterns.machined, 0.04),
    "wooden": (patterns.wooden, 0.03),
    "mottled": (patterns.mottled, 0.03),
}
# Lines are the hardest to learn in every direction, so that they come most.
FLAWS: dict[str, tuple[Drawing, float]] = {
    "scratches": (scratches.scratches, 0.36),
    "pits": (pits.pits, 0.12),
    "pores": (pits.pores, 0.06),
    "dents": (pits.dents, 0.04),
    "cracks": (cracks.cracks, 0.1),
    "blotches": (blotches.blotches, 0.1),
    "flakes": (blotches.flakes, 0.06),
    "inclusions": (inclusions.inclusions, 0.09),
    "rolled_scale": (inclusions.rolled_scale, 0.07),
}
CLEAN = 0.12
VISIBLE = 5.0  # gray levels from which on a change of the surface belongs to a flaw, and at least …
VISIBLE_SHARE = 0.15  # … this share of the flaw's largest change: a halo is no defect
SECOND = 0.18  # of those with a flaw, how many have another


@dataclass(frozen=True)
class Picture:
    """A drawn photograph and what is on it.

    Attributes:
        pixels: (C, side, side) uint8.
        surface: a key of `SURFACES`.
        flaws: keys of `FLAWS`, none for a clean surface.
        mask: (side, side) bool, the pixels that show the flaws.
        grain: direction of the surface's grain, degrees counter-clockwise from level, 0 … 180.
    """

    pixels: NDArray[np.uint8]
    surface: str
    flaws: tuple[str, ...]
    mask: NDArray[np.bool_]
    grain: float


def draw(seed: int, side: int, channels: int) -> NDArray[np.uint8]:
    """Draws a photograph of a surface: (channels, side, side) uint8.

    The same arguments draw the same bytes with the same NumPy and SciPy on the same kind of processor.

    Args:
        seed: 0 or more.
        side: 32 … 1024 pixels. Structures keep their part of the picture; grain and edges get finer.
        channels: 1 gray or 3 red, green, blue.

    Raises:
        ValueError: the side or the number of channels cannot be drawn.
    """
    return picture(seed, side, channels).pixels


def picture(seed: int, side: int, channels: int, flaws: Sequence[str] | None = None) -> Picture:
    """As `draw`, with what was drawn.

    Args:
        flaws: keys of `FLAWS` to draw on the surface of this seed, none for a clean one; None: those of the seed.
    """
    if not SIDES[0] <= side <= SIDES[1]:
        raise ValueError(f"side must be {SIDES[0]} … {SIDES[1]} pixels, not {side}")
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (gray) or 3 (red, green, blue), not {channels}")
    choices = np.random.default_rng([seed, 1])
    direction = grain_direction(choices)
    surface = _one_of(choices, SURFACES)
    of_seed = () if choices.random() < CLEAN else tuple(_flaws(choices))
    drawn = of_seed if flaws is None else tuple(flaws)
    canvas = blank(seed, side, direction)
    pixels, change = _photographed(canvas, surface, drawn, channels)
    mask = np.abs(change) >= max(VISIBLE, VISIBLE_SHARE * float(np.abs(change).max()))
    return Picture(pixels, surface, drawn, mask, direction)


def _photographed(
    canvas: Canvas, surface: str, flaws: tuple[str, ...], channels: int
) -> tuple[NDArray[np.uint8], Plane]:
    """The picture, and the change of gray levels by its flaws."""
    exposure = canvas.between(40, 225) if canvas.chance(0.7) else canvas.random.normal(110, 35)
    strength = np.float32(canvas.scale(0.3, 1.2))  # one surface is quiet or loud with the angle of its lamp
    body = np.float32(np.clip(exposure, 30, 235)) + strength * SURFACES[surface][0](canvas)
    tarnish = grain.tarnish(canvas)
    body = body + tarnish * np.float32(canvas.scale(0.4, 6))
    change = np.zeros_like(body)
    for flaw in flaws:
        change = change + FLAWS[flaw][0](canvas)
    change = _reflected(body, change * (1 + tarnish * np.float32(canvas.between(0, 0.25))))
    planes = colors.tint(canvas, body, change) if channels == 3 else (body + change)[None]
    planes = planes * light(canvas)
    if canvas.chance(0.2):
        planes = camera.stretched(canvas, planes)
    return camera.photograph(canvas, planes), change


def _reflected(body: Plane, change: Plane) -> Plane:
    """Dark flaws still reflect a part of the light: the darker the surface, the smaller a change they can make."""
    lit = np.maximum(body, 4)
    return np.where(change < 0, lit * np.expm1(np.minimum(change, 0) / lit), change)


def _one_of(random: np.random.Generator, drawings: dict[str, tuple[Drawing, float]]) -> str:
    shares = np.array([share for _, share in drawings.values()])
    return str(random.choice(list(drawings), p=shares / shares.sum()))


def _flaws(random: np.random.Generator) -> list[str]:
    first = _one_of(random, FLAWS)
    if random.random() >= SECOND:
        return [first]
    second = _one_of(random, FLAWS)
    return [first] if second == first else [first, second]
