"""Directions of grain and of flaws, in degrees counter-clockwise from level."""

import numpy as np

from flawsmith.models.drawn_surfaces.canvas import Canvas


def grain_direction(random: np.random.Generator) -> float:
    """Lines are filmed upright or level as the strip runs under the camera; loose parts lie at any angle (36 %)."""
    kind = random.random()
    if kind < 0.38:
        return float(random.normal(90, 1.5)) % 180
    if kind < 0.64:
        return float(random.normal(0, 1.5)) % 180
    return float(random.uniform(0, 180))


def flaw_direction(canvas: Canvas) -> float:
    """Rolls and guides scratch along the grain (45 %), handling at any angle (43 %), shears across (12 %)."""
    kind = canvas.random.random()
    if kind < 0.45:
        return float(canvas.random.normal(canvas.grain, 2.5)) % 180
    if kind < 0.57:
        return float(canvas.random.normal(canvas.grain + 90, 4)) % 180
    return canvas.between(0, 180)
