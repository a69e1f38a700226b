"""Surfaces without a period: rolled, brushed, ground, cast, polished, painted."""

import numpy as np

from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane, relief, standardised


def tarnish(canvas: Canvas) -> Plane:
    """What no surface is free of: a faint unevenness of all sizes, standard deviation 1."""
    size = canvas.scale(3, 30)
    return canvas.field(size * canvas.scale(1, 6), size, canvas.grain, decay=canvas.between(0.55, 1.1))


def rolled(canvas: Canvas) -> Plane:
    """Long faint stripes along the rolling direction over fine speckle of oxide."""
    stripes = canvas.field(canvas.scale(20, 200), canvas.fine(0.4, 6), canvas.grain, decay=1.0)
    speckle = canvas.field(canvas.fine(0.3, 1.2), canvas.fine(0.25, 0.9), canvas.grain)
    return stripes * np.float32(canvas.scale(1, 9)) + speckle * np.float32(canvas.scale(1.5, 14))


def brushed(canvas: Canvas) -> Plane:
    """Fine lines of one direction: brushing and rolling with worn rolls, 5 … 40 times as long as wide."""
    width = canvas.fine(0.25, 1.2)
    lines = canvas.field(width * canvas.scale(5, 40), width, canvas.grain, decay=canvas.between(0.8, 1.6))
    return lines * np.float32(canvas.scale(3, 22))


def ground(canvas: Canvas) -> Plane:
    """Two sets of grinding lines that cross at a small angle, or at a large one where the work was turned."""
    turn = canvas.random.normal(0, 12) if canvas.chance(0.7) else canvas.between(20, 90)
    width = canvas.fine(0.3, 1)
    first = canvas.field(width * canvas.scale(8, 50), width, canvas.grain, decay=1.2)
    second = canvas.field(width * canvas.scale(8, 50), width, canvas.grain + turn, decay=1.2)
    return (first + second * np.float32(canvas.between(0.2, 0.9))) * np.float32(canvas.scale(2.5, 15))


def cast(canvas: Canvas) -> Plane:
    """Blasted, cast, galvanised or concrete: grain without direction, of one size or of many."""
    size = canvas.fine(0.4, 5)
    rough = canvas.field(size * canvas.scale(0.8, 1.6), size, canvas.grain, decay=canvas.between(0.6, 1.3))
    return rough * np.float32(canvas.scale(3, 20))


def speckled(canvas: Canvas) -> Plane:
    """Grain that is skewed: dark pores in a light surface (oxide, scale, stone), or light flecks in a dark one."""
    fine = canvas.field(canvas.fine(0.35, 1.2), canvas.fine(0.3, 0.9), canvas.grain, decay=1.5)
    coarse = canvas.field(canvas.scale(4, 60), canvas.scale(1.5, 8), canvas.grain, decay=1.0)
    skew = np.float32(canvas.between(-0.7, 0.3))
    mixed = fine * np.float32(canvas.between(0.5, 1)) + coarse * np.float32(canvas.between(0.1, 0.6))
    return standardised(mixed + skew * mixed * mixed) * np.float32(canvas.scale(10, 42))


def polished(canvas: Canvas) -> Plane:
    """Hardly any grain: glass, polished steel, screens, plastic; slow stains remain."""
    stains = canvas.field(canvas.scale(6, 40), canvas.scale(4, 20), canvas.grain, decay=1.2)
    return stains * np.float32(canvas.scale(0.5, 5))


def painted(canvas: Canvas) -> Plane:
    """Orange peel, leather and pressed plastic: small bumps lit from one side."""
    size = canvas.fine(0.7, 3)
    height = canvas.field(size, size * canvas.scale(0.7, 1), canvas.grain)
    if canvas.chance(0.4):  # leather: cells with narrow valleys
        height = -(np.abs(height) ** np.float32(0.7))
    return standardised(relief(height, canvas.between(0, 360))) * np.float32(canvas.scale(3, 16))


def stained(canvas: Canvas) -> Plane:
    """Rolled with stains of oil and water: a slow field whose dark side counts, beside faint lines."""
    slow = canvas.field(canvas.scale(8, 40), canvas.scale(3, 12), canvas.grain, decay=0.9)
    fine = canvas.field(canvas.fine(0.4, 2), canvas.fine(0.3, 0.8), canvas.grain, decay=1.2)
    return np.minimum(slow, 0.3) * np.float32(canvas.scale(2, 14)) + fine * np.float32(canvas.scale(1.5, 8))
