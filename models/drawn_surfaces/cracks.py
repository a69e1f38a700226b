"""Cracks: single ones that branch, crazing of fine short ones, and closed nets."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from flawsmith.models.drawn_surfaces.canvas import POINTS, Canvas, Plane, relief, step
from flawsmith.models.drawn_surfaces.directions import flaw_direction

Path = NDArray[np.float64]


def cracks(canvas: Canvas) -> Plane:
    """Change of gray level: (side, side) float32. Cracks are dark (94 %): light goes in and does not come out."""
    kind = canvas.random.random()
    drawn = _branching(canvas) if kind < 0.4 else _crazing(canvas) if kind < 0.8 else _net(canvas)
    change = drawn * np.float32(canvas.signed(15, 110, bright=0.06))
    if canvas.chance(0.25):  # a lifted edge
        change = change + relief(drawn, canvas.between(0, 360)) * np.float32(canvas.scale(5, 35))
    return change


def _branching(canvas: Canvas) -> Plane:
    """One crack through the picture or ending in it, with up to five branches at 20 … 70 degrees."""
    heading = float(np.deg2rad(flaw_direction(canvas)))
    wander = canvas.scale(0.05, 0.25)
    start = np.asarray(canvas.place(28))
    ahead = _walks(canvas, start[None], np.array([heading]), canvas.scale(15, 90), wander)[0]
    behind = _walks(canvas, start[None], np.array([heading + np.pi]), canvas.scale(5, 60), wander)[0]
    pieces = [(ahead, 1.0), (behind, 1.0)]
    for _ in range(int(canvas.random.choice(6, p=[0.35, 0.25, 0.15, 0.1, 0.1, 0.05]))):
        path, strength = pieces[int(canvas.random.integers(len(pieces)))]
        turn = np.deg2rad(canvas.between(20, 70)) * (1 if canvas.chance(0.5) else -1)
        fork = path[int(canvas.random.integers(len(path)))]
        branch = _walks(canvas, fork[None], np.array([heading + turn]), canvas.scale(4, 30), wander)[0]
        pieces.append((branch, strength * canvas.between(0.4, 0.9)))
    ink = _sum([_ink(canvas, path) * np.float32(strength) for path, strength in pieces])
    return _widened(canvas, ink, canvas.scale(0.35, max(1.0, 0.6 / canvas.pixel)))


def _crazing(canvas: Canvas) -> Plane:
    """Ten to two hundred short fine cracks, mostly across the grain, in drifts: heat leaves them on rolls and strip."""
    count = int(canvas.scale(10, 200))
    starts = canvas.random.uniform(-36, 36, (count, 2))
    if canvas.chance(0.5):  # drawn towards a few centres
        centres = canvas.random.uniform(-28, 28, (3, 2))
        starts = starts * 0.4 + 0.6 * centres[canvas.random.integers(3, size=count)]
    spread = canvas.between(5, 45)
    headings = np.deg2rad(canvas.grain + 90 + canvas.random.normal(0, spread, count))
    paths = _walks(canvas, starts, headings, canvas.scale(2, 12), canvas.scale(0.1, 0.45))
    along = np.linspace(0, 1, paths.shape[1]) / canvas.random.uniform(0.2, 1, (count, 1))  # short and long ones
    fading = np.clip(4 * np.minimum(along, 1 - along), 0, 1) * canvas.random.uniform(0.2, 1, (count, 1))
    ink = _ink(canvas, paths.reshape(-1, 2), fading.ravel())
    scorched = np.maximum(canvas.field(canvas.fine(0.5, 1.5), canvas.fine(0.4, 1), canvas.grain, decay=1.2), 0)
    lines = _widened(canvas, ink, canvas.scale(0.2, 0.5)) + np.float32(canvas.between(0, 0.3)) * scorched
    return lines.astype(np.float32)


def _walks(canvas: Canvas, starts: Path, headings: Path, length: float, wander: float) -> Path:
    """Paths whose headings wander about their first ones and jump at grain borders.

    Starts (N, 2) in points, headings (N,) in radians, length in points: (N, steps, 2), half a pixel apart.
    """
    stride = canvas.pixel / 2
    shape = (len(headings), max(2, int(min(length, 1.5 * POINTS) / stride)))
    kinks = canvas.random.random(shape) < stride / 3
    turns = np.where(kinks, canvas.random.normal(0, 3 * wander, shape), 0)
    turns += canvas.random.normal(0, wander * np.sqrt(stride), shape)
    # Old turns are forgotten, so that a crack keeps its direction over its length.
    heading = headings[:, None] + np.tanh(signal.lfilter([1], [1, stride / 12 - 1], turns, axis=1))
    moves = stride * np.stack([np.cos(heading), np.sin(heading)], -1)
    path: Path = starts[:, None] + np.cumsum(moves, 1)
    return path


def _ink(canvas: Canvas, path: Path, strengths: Path | None = None) -> Plane:
    """How much of a path's points (N, 2) lies in each pixel, at most 1: bilinear, so that a line has no stairs."""
    column = path[:, 0] / canvas.pixel + canvas.side / 2 - 0.5
    row = canvas.side / 2 - 0.5 - path[:, 1] / canvas.pixel
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    right_share, low_share = column - left, row - top
    total = np.zeros(canvas.side**2)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (low_share if down else 1 - low_share) * (right_share if right else 1 - right_share)
        weight = weight if strengths is None else weight * strengths
        at_row, at_column = top + down, left + right
        inside = (at_row >= 0) & (at_row < canvas.side) & (at_column >= 0) & (at_column < canvas.side)
        index = at_row[inside] * canvas.side + at_column[inside]
        total += np.bincount(index, weight[inside], canvas.side**2)
    return np.minimum(total, 1).reshape(canvas.side, canvas.side).astype(np.float32)


def _widened(canvas: Canvas, ink: Plane, width: float) -> Plane:
    """A line of the given width in pixels (standard deviation), deeper in some places than in others."""
    depth = np.clip(canvas.field(5, 5) + np.float32(canvas.between(0.6, 2.5)), 0.1, 1)
    line: Plane = np.clip(ndimage.gaussian_filter(ink, width) * np.float32(1.6 * max(1.0, width)), 0, 1) * depth
    return line


def _net(canvas: Canvas) -> Plane:
    """Closed cells, as in glaze, mud and old paint: the borders between the nearest of 5 … 40 points."""
    warp = canvas.scale(0.2, 2)
    x = canvas.x + canvas.field(4, 4, decay=1) * np.float32(warp)
    y = canvas.y + canvas.field(4, 4, decay=1) * np.float32(warp)
    nearest = np.full_like(x, 1e6)
    second = nearest
    for px, py in canvas.random.uniform(-38, 38, (int(canvas.scale(5, 40)), 2)).astype(np.float32):
        distance = (x - px) ** 2 + (y - py) ** 2
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    border = np.sqrt(second) - np.sqrt(nearest)
    half = canvas.fine(0.5, 1)
    gaps = np.clip(canvas.field(8, 8) + np.float32(canvas.between(0, 3)), 0, 1)
    net: Plane = step(np.float32(half) - border, half) * gaps
    return net


def _sum(planes: list[Plane]) -> Plane:
    total = planes[0]
    for plane in planes[1:]:
        total = total + plane
    return total
