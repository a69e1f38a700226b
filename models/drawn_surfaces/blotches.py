"""Blotches, stains, flaked corners and edges: regions that differ from the surface around them."""

import numpy as np

from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane, relief, standardised, step


def blotches(canvas: Canvas) -> Plane:
    """Patches of oxide, oil, glue or bare metal: change of gray level, (side, side) float32.

    3 … 20 points across, up to three times as long along the grain, dark (75 %), with edges from sharp (paint) to
    gradual (oxide), and ragged where a coating broke.
    """
    size = canvas.scale(3, 14)
    shape = canvas.field(size * canvas.scale(1, 3), size, canvas.grain)
    ragged = canvas.field(canvas.scale(1.5, 5), canvas.scale(1, 3), canvas.grain, decay=1.1)
    threshold = np.float32(canvas.between(0.3, 1.7))
    inside = step(shape + ragged * np.float32(canvas.scale(0.03, 0.35)) - threshold, canvas.scale(0.06, 1.2))
    contrast = canvas.signed(12, 170, bright=0.22)
    change = inside * np.float32(contrast)
    if canvas.chance(0.4):  # a core and a border, as a stain dries and oxide grows
        core = step(shape + ragged * np.float32(0.2) - threshold - np.float32(canvas.between(0.2, 0.8)), 0.3)
        change = change + core * np.float32(contrast * canvas.between(-0.5, 0.7))
    change = change + _inside(canvas, inside)
    if canvas.chance(0.3):
        change = change + _specks(canvas)
    return change


def flakes(canvas: Canvas) -> Plane:
    """A corner, an edge or a spot that flaked off along a ragged line: the layer below has its own grain."""
    distance = _border(canvas)
    ragged = canvas.field(canvas.scale(4, 14), canvas.scale(3, 10), canvas.grain, decay=canvas.between(0.9, 1.3))
    inside = step(distance + ragged * np.float32(canvas.scale(0.5, 4.5)), canvas.fine(0.4, 1.5))
    change = inside * np.float32(canvas.signed(8, 90, bright=0.4)) + _inside(canvas, inside)
    if canvas.chance(0.5):  # the step between both layers
        change = change + relief(inside, canvas.between(0, 360)) * np.float32(canvas.scale(5, 50))
    return change


def _border(canvas: Canvas) -> Plane:
    """Signed distance in points from what flaked: a corner, one side, or a spot; inside positive."""
    kind = canvas.random.random()
    if kind < 0.4:
        at = (canvas.random.choice([-32, 32]), canvas.random.choice([-32, 32]))
        x, y = np.abs(canvas.x - at[0]), np.abs(canvas.y - at[1])
        lean = np.float32(canvas.scale(0.4, 2.5))
        corner: Plane = np.float32(canvas.scale(10, 45)) - np.sqrt((x * lean) ** 2 + (y / lean) ** 2)
        return corner
    if kind < 0.8:
        _, across = canvas.axes(canvas.grain + canvas.random.normal(0, 5) + 180 * canvas.chance(0.5))
        return across - np.float32(canvas.between(0, 28))
    along, across = canvas.axes(canvas.grain, canvas.place(24))
    spot: Plane = np.float32(canvas.scale(4, 14)) - np.hypot(along / np.float32(canvas.scale(0.7, 2)), across)
    return spot


def _inside(canvas: Canvas, inside: Plane) -> Plane:
    """Grain of its own within a region, most often weaker than the region's contrast."""
    size = canvas.fine(0.5, 2.5)
    grain = canvas.field(size * canvas.scale(1, 2), size, canvas.grain, decay=1.2)
    return inside * grain * np.float32(canvas.scale(1.5, 24))


def _specks(canvas: Canvas) -> Plane:
    """Small dark crumbs that lie together."""
    size = canvas.scale(max(0.6, canvas.pixel * 0.8), 1.6)
    crumbs = standardised(canvas.field(size * 1.6, size, canvas.grain, decay=2))
    place = np.exp(-((np.hypot(*canvas.axes(0, canvas.place(26)))) ** 2) / np.float32(2 * canvas.scale(5, 12) ** 2))
    return step(crumbs + 2 * place - np.float32(3), 0.2) * np.float32(-canvas.scale(40, 140))
