"""Pits, pores, blowholes and dents."""

import numpy as np

from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane, relief, step


def pits(canvas: Canvas) -> Plane:
    """Many small holes, dense where a cluster or a band is: change of gray level, (side, side) float32.

    Corrosion and worn rolls leave holes of 0.7 … 3 points, elongated along rolling up to threefold; most are dark.
    """
    size = canvas.scale(max(0.6, canvas.pixel * 0.8), 1.8)
    holes = canvas.field(size * canvas.scale(1, 3), size, canvas.grain, decay=2 if canvas.chance(0.5) else None)
    threshold = np.float32(canvas.between(0.6, 2)) + np.float32(2) * (1 - _density(canvas))
    depth = step(holes - threshold, canvas.scale(0.15, 1.2))
    change = depth * np.float32(canvas.signed(12, 110, bright=0.12))
    if canvas.chance(0.4):  # the far wall catches the light
        change = change + relief(depth, canvas.between(0, 360)) * np.float32(canvas.scale(5, 50))
    return change


def pores(canvas: Canvas) -> Plane:
    """One to twelve blowholes or dents in the paint, 1 … 6 points wide, each with its own outline."""
    change = np.zeros_like(canvas.x)
    centre, spread = canvas.place(24), canvas.scale(3, 25)
    size, contrast = canvas.scale(max(0.5, 0.6 * canvas.pixel), 2.5), canvas.signed(15, 130, bright=0.2)
    light, shading = canvas.between(0, 360), canvas.between(0, 1)
    ragged = canvas.field(2.5, 2.5, decay=1) * np.float32(canvas.between(0, 0.5))
    for _ in range(1 + int(canvas.random.geometric(0.3))):
        x, y = centre[0] + canvas.random.normal(0, spread), centre[1] + canvas.random.normal(0, spread)
        along, across = canvas.axes(canvas.grain, (x, y))
        radius, stretch = size * canvas.scale(0.6, 1.7), canvas.scale(0.7, 2)
        distance = 1 - np.sqrt((along / np.float32(stretch)) ** 2 + (across * np.float32(stretch)) ** 2) / np.float32(
            radius
        )
        hole = step(distance + ragged, canvas.scale(0.15, 0.8))
        change = change + hole * np.float32(contrast * canvas.between(0.5, 1))
        change = change + relief(hole, light) * np.float32(abs(contrast) * shading)
    return change


def dents(canvas: Canvas) -> Plane:
    """Hollows of 4 … 25 points without an edge: lit from one side, one half is bright, the other dark."""
    height = np.zeros_like(canvas.x)
    for _ in range(int(canvas.random.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))):
        along, across = canvas.axes(canvas.between(0, 180), canvas.place(26))
        length = canvas.scale(2.5, 13)
        width = length * canvas.scale(0.35, 1)
        r2 = (along / np.float32(length)) ** 2 + (across / np.float32(width)) ** 2
        flat = np.float32(canvas.between(1, 2.5))  # a flat bottom where it is high
        hollow: Plane = np.exp(-(r2**flat))
        height = height + hollow * np.float32(width * canvas.between(0.5, 1))
    wrinkled = height * (1 + np.float32(canvas.between(0, 0.25)) * canvas.field(5, 5, decay=1.2))
    shading = relief(wrinkled, canvas.between(0, 360)) / np.float32(canvas.pixel)
    return shading * np.float32(canvas.signed(20, 100)) - height * np.float32(canvas.between(-1, 3))


def _density(canvas: Canvas) -> Plane:
    """Where holes are, 0 … 1: everywhere, a cluster, a band along the grain, or one side of a wavy border."""
    kind = canvas.random.random()
    if kind < 0.2:
        return np.ones_like(canvas.x)
    along, across = canvas.axes(canvas.grain, canvas.place(26))
    wavy = canvas.field(12, 6, canvas.grain, decay=1)
    if kind < 0.5:
        radius = np.float32(canvas.scale(5, 24))
        return step(
            1 - np.hypot(along / np.float32(1.5), across) / radius + np.float32(0.3) * wavy, canvas.between(0.1, 0.6)
        )
    if kind < 0.8:
        half = np.float32(canvas.scale(3, 14))
        return step(1 - np.abs(across) / half + np.float32(0.2) * wavy, canvas.between(0.1, 0.6))
    return step(across + 2 * wavy, canvas.scale(0.5, 8))
