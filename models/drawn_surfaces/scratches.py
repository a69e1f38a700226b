"""Scratches: single, broad, interrupted, in bundles; straight most of all, some slightly bent."""

from dataclasses import dataclass, replace

import numpy as np

from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane, step
from flawsmith.models.drawn_surfaces.directions import flaw_direction


@dataclass(frozen=True)
class Stroke:
    """One scratch: points, degrees, gray levels; `bend` is the height of its arc at 32 points from the centre."""

    centre: tuple[float, float]
    angle: float
    length: float
    width: float
    contrast: float
    bend: float = 0
    taper: float = 0
    rim: float = 0
    broken: float = 0


def scratches(canvas: Canvas) -> Plane:
    """Change of gray level: (side, side) float32."""
    kind = canvas.random.random()
    if kind < 0.3:
        return _apart(canvas)
    if kind < 0.5:
        return _band(canvas)
    if kind < 0.72:
        return _bundle(canvas)
    if kind < 0.8:
        return _dashes(canvas)
    if kind < 0.9:
        return _worn(canvas)
    return _hair_lines(canvas)


def _stroke(canvas: Canvas) -> Stroke:
    """A scratch as a sliding edge leaves it: bright on bare metal (70 %), dark where dirt or a coating is cut.

    Widths go from what one pixel cannot resolve to 6 points; long ones leave the picture at both ends.
    """
    return Stroke(
        centre=canvas.place(27),
        angle=flaw_direction(canvas),
        length=canvas.scale(10, 45) if canvas.chance(0.5) else 120,
        width=canvas.fine(0.35, 2.2) if canvas.chance(0.75) else canvas.scale(2, 6),
        contrast=canvas.signed(18, 200, bright=0.72),
        bend=0 if canvas.chance(0.65) else canvas.random.normal(0, 2.5),
        taper=canvas.between(-1, 1) if canvas.chance(0.5) else 0,
        rim=canvas.between(0.2, 0.8) if canvas.chance(0.3) else 0,
        broken=canvas.between(0.4, 1.6) if canvas.chance(0.2) else 0,
    )


def _apart(canvas: Canvas) -> Plane:
    """One to four scratches that know nothing of one another."""
    count = canvas.random.choice([1, 2, 3, 4], p=[0.6, 0.25, 0.1, 0.05])
    return _sum([draw_stroke(canvas, _stroke(canvas)) for _ in range(count)])


def _bundle(canvas: Canvas) -> Plane:
    """Several strokes of one accident: nearly parallel, of alike length and contrast, some branching from a point."""
    first = replace(_stroke(canvas), width=canvas.fine(0.4, 1.8))
    spread, turn = canvas.scale(2, 14), canvas.scale(0.5, 8)
    others = []
    for _ in range(int(canvas.random.integers(1, 5))):
        shift = canvas.random.normal(0, spread, 2)
        others.append(
            replace(
                first,
                centre=(first.centre[0] + shift[0], first.centre[1] + shift[1]),
                angle=first.angle + canvas.random.normal(0, turn),
                length=first.length * canvas.scale(0.3, 1.2),
                width=first.width * canvas.scale(0.5, 1.5),
                contrast=first.contrast * canvas.scale(0.4, 1.2),
            )
        )
    return _sum([draw_stroke(canvas, each) for each in [first, *others]])


def _band(canvas: Canvas) -> Plane:
    """A broad band of fine lines with sharp edges, as a rough roll or guide leaves it along the whole picture."""
    stroke = _stroke(canvas)
    along, across = canvas.axes(stroke.angle, stroke.centre)
    across = across - _bent(canvas, along, stroke.bend * 0.4)
    half = canvas.scale(1, 5)
    uneven = half + canvas.along_wave(along, canvas.scale(3, 20), 0.2) * np.float32(half * canvas.between(0, 0.25))
    inside = step(uneven - np.abs(across), canvas.fine(0.5, 1.5))
    lines = canvas.along_wave(across, canvas.fine(0.8, 2.5), 0.4) * np.float32(canvas.between(0.1, 0.6))
    streaks = canvas.field(canvas.scale(8, 60), canvas.fine(0.4, 1.2), stroke.angle) * np.float32(
        canvas.between(0.05, 0.5)
    )
    body = np.maximum(1 + lines + streaks, 0) * inside
    if canvas.chance(0.4):
        body = body * _ends(canvas, along, replace(stroke, broken=0))
    halo = np.exp(-np.abs(across) / np.float32(canvas.scale(3, 10))) * np.float32(canvas.between(0, 0.25))
    return (body + halo) * np.float32(canvas.signed(15, 160, bright=0.78))


def _dashes(canvas: Canvas) -> Plane:
    """Marks one behind the other on a line: something that turned with the roll or bounced."""
    line = replace(_stroke(canvas), length=120, width=canvas.fine(0.4, 1.4), broken=canvas.between(0.9, 2.2))
    found = draw_stroke(canvas, line)
    if canvas.chance(0.3):
        shifted = (line.centre[0] + canvas.random.normal(0, 6), line.centre[1] + canvas.random.normal(0, 6))
        found = found + draw_stroke(canvas, replace(line, centre=shifted, contrast=line.contrast * 0.6))
    return found


def _hair_lines(canvas: Canvas) -> Plane:
    """Four to nine faint lines through the whole picture, of one direction: the wear of years."""
    angle = flaw_direction(canvas)
    turned = np.zeros_like(canvas.x)
    strongest = canvas.signed(15, 150, bright=0.7)
    for _ in range(int(canvas.random.integers(3, 8))):
        line = replace(
            _stroke(canvas), angle=angle + canvas.random.normal(0, 0.8), length=120, width=canvas.fine(0.3, 0.9), bend=0
        )
        turned = turned + draw_stroke(canvas, replace(line, contrast=strongest * canvas.scale(0.15, 1), rim=0))
    return turned


def _worn(canvas: Canvas) -> Plane:
    """Dozens of lines of all lengths side by side, dense in places, as sliding stock leaves them."""
    angle = flaw_direction(canvas)
    _, across = canvas.axes(angle)
    lines = canvas.field(canvas.scale(8, 80), canvas.fine(0.3, 0.9), angle)
    dense = canvas.along_wave(across, canvas.scale(6, 24), 0.1) * np.float32(canvas.between(0.2, 1))
    above = np.maximum(lines + dense - np.float32(canvas.between(1.2, 2.4)), 0)
    return np.minimum(above, 1) * np.float32(canvas.signed(30, 180, bright=0.8))


def draw_stroke(canvas: Canvas, stroke: Stroke) -> Plane:
    """One scratch: a core with soft edges, uneven along it; where it has a rim, one edge throws a shadow.

    A line thinner than a pixel loses contrast instead of width, as on a sensor.
    """
    along, across = canvas.axes(stroke.angle, stroke.centre)
    across = across - _bent(canvas, along, stroke.bend)
    narrow = min(1.0, stroke.width / canvas.pixel)
    half = max(stroke.width, canvas.pixel) / 2
    width = np.float32(half) * _taper(along, stroke)
    if stroke.width > 1:
        width = width * (1 + np.float32(canvas.between(0, 0.4)) * canvas.along_wave(along, canvas.scale(1.5, 8), 0.4))
    softness = canvas.pixel * 0.6 if canvas.chance(0.6) else max(half, 0.6 * canvas.pixel)
    core = step(width - np.abs(across), softness)
    if stroke.rim:
        side = np.float32(half + canvas.pixel * 0.7) * (1 if canvas.chance(0.5) else -1)
        shadow = step(width + canvas.pixel * np.float32(0.3) - np.abs(across - side), softness)
        core = core - np.float32(stroke.rim) * shadow * (1 - core)
    if stroke.width > 2 * canvas.pixel:  # broad ones consist of lines
        streaks = canvas.field(canvas.scale(4, 40), canvas.fine(0.4, 1), stroke.angle)
        core = core * np.maximum(1 + streaks * np.float32(canvas.between(0.1, 0.6)), 0)
        along = along + streaks * np.float32(0.5 * stroke.width)  # ragged ends and gaps
    core = core * _ends(canvas, along, stroke)
    return core * np.float32(stroke.contrast * narrow)


def _bent(canvas: Canvas, along: Plane, bend: float) -> Plane:
    """How far the line leaves its direction: an arc, steeper on one side, and a tremble of the hand."""
    if not bend:
        return np.zeros_like(along)
    t = along / np.float32(32)
    arc = np.float32(bend) * t * t * (1 + np.float32(canvas.between(-0.4, 0.4)) * t)
    left: Plane = arc + canvas.along_wave(along, 24) * np.float32(0.1 * abs(bend))
    return left


def _taper(along: Plane, stroke: Stroke) -> Plane:
    """Width along the line, 0 … 1: full at one end and nothing at the other where taper is 1 or -1."""
    if not stroke.taper:
        return np.ones_like(along)
    t = np.clip(along / np.float32(min(stroke.length, 64)), -0.5, 0.5)
    narrowed: Plane = 1 - np.float32(abs(stroke.taper)) * (np.float32(0.5) + t * np.float32(np.sign(stroke.taper)))
    return narrowed


def _ends(canvas: Canvas, along: Plane, stroke: Stroke) -> Plane:
    """Strength along the line, 0 … 1.3: ends, a slow change, and gaps where it is broken."""
    strength = step(np.float32(stroke.length / 2) - np.abs(along), canvas.scale(0.5, 6))
    wave = canvas.along_wave(along, canvas.scale(max(2.5, 2 * stroke.width), 18), 0.15)
    if stroke.broken:
        gaps: Plane = strength * np.clip(np.float32(0.6) + wave * np.float32(stroke.broken), 0, 1.2)
        return gaps
    change = canvas.between(0, 0.35)
    uneven: Plane = strength * np.clip(1 + wave * np.float32(change), 0.1, 1.3)
    return uneven


def _sum(planes: list[Plane]) -> Plane:
    total = planes[0]
    for plane in planes[1:]:
        total = total + plane
    return total
