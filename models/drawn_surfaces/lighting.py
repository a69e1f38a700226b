"""Light: how unevenly lamp and lens brighten a picture."""

import numpy as np

from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane


def light(canvas: Canvas) -> Plane:
    """A factor for each pixel, about 1: (side, side) float32, 0.25 … 2.

    A line lamp fades to one side (most strips), a ring lamp towards the corners, a bare lamp leaves a hot spot on shiny
    metal, and a curved sheet reflects bands that run along the grain.
    """
    factor = np.ones_like(canvas.x)
    if canvas.chance(0.65):
        along, _ = canvas.axes(canvas.random.choice([0, 90, 180, 270]) + canvas.random.normal(0, 25))
        factor = factor + along * np.float32(canvas.random.normal(0, 0.005))
    if canvas.chance(0.12):
        factor = factor * _shadow(canvas)
    if canvas.chance(0.3):
        factor = factor - _distance(canvas, (0, 0)) * np.float32(canvas.between(0.02, 0.3) / 2000)
    if canvas.chance(0.12):
        width = canvas.scale(10, 35)
        spot = np.exp(-_distance(canvas, canvas.place(36), canvas.between(0.5, 2)) / np.float32(2 * width**2))
        factor = factor + spot * np.float32(canvas.scale(0.05, 0.5))
    if canvas.chance(0.3):
        _, across = canvas.axes(canvas.grain)
        factor = factor + canvas.along_wave(across, canvas.scale(12, 50)) * np.float32(canvas.scale(0.01, 0.12))
    return np.clip(factor, 0.25, 2)


def _distance(canvas: Canvas, centre: tuple[float, float], stretch: float = 1) -> Plane:
    """Squared, in points."""
    x, y = canvas.x - np.float32(centre[0]), canvas.y - np.float32(centre[1])
    return x * x + y * y * np.float32(stretch)


def _shadow(canvas: Canvas) -> Plane:
    """One side of the picture falls off quickly, as at the end of a lamp or of the strip."""
    along, _ = canvas.axes(canvas.random.choice([0, 90, 180, 270]) + canvas.random.normal(0, 6))
    fall = np.clip((along - np.float32(canvas.between(-10, 28))) / np.float32(canvas.scale(6, 40)), 0, 1)
    shadow: Plane = 1 - fall * np.float32(canvas.between(0.15, 0.7))
    return shadow
