"""What was rolled in: slag streaks and scale."""

import numpy as np

from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane, relief, step


def inclusions(canvas: Canvas) -> Plane:
    """Slag stretched by rolling: spindles of 1 … 4 points by 4 … 30, in rows along the grain, dark (85 %).

    Change of gray level: (side, side) float32.
    """
    angle = canvas.grain + canvas.random.normal(0, 2)
    width = canvas.scale(0.7, 2.6)
    shape = canvas.field(width * canvas.scale(3, 9), width, angle)
    rough = canvas.field(canvas.scale(1.5, 5), canvas.fine(0.5, 1), angle, decay=1.2)
    _, across = canvas.axes(angle)
    row = canvas.along_wave(across, canvas.scale(4, 16))
    threshold = np.float32(canvas.between(1.1, 2.2)) - row * np.float32(canvas.between(0, 0.7))
    inside = step(shape + rough * np.float32(canvas.scale(0.05, 0.5)) - threshold, canvas.scale(0.06, 0.6))
    return inside * np.float32(canvas.signed(10, 90, bright=0.15))


def rolled_scale(canvas: Canvas) -> Plane:
    """Scale pressed into the sheet: crumbs of 1 … 4 points lit from one side, dark with a bright flank, in bands."""
    angle = canvas.grain + (90 if canvas.chance(0.7) else 0) + canvas.random.normal(0, 8)
    size = canvas.scale(0.9, 2.6)
    crumbs = canvas.field(size * canvas.scale(1.2, 3), size, angle, decay=canvas.between(1.1, 2))
    _, across = canvas.axes(canvas.grain, canvas.place(28))
    band = np.exp(-((across / np.float32(canvas.scale(6, 30))) ** 2)) + np.float32(0.4) * canvas.field(
        14, 8, canvas.grain
    )
    height = np.maximum(crumbs + band * np.float32(canvas.between(0.5, 1.5)) - np.float32(canvas.between(1, 2)), 0)
    shading = relief(height, canvas.between(0, 360))
    dark = step(height - np.float32(0.3), 0.3) * np.float32(canvas.scale(3, 40))
    rough = canvas.field(canvas.scale(2, 8), canvas.scale(1, 4), angle, decay=1) * np.float32(canvas.scale(2, 12))
    change: Plane = shading * np.float32(canvas.scale(12, 90)) - dark + rough
    return change
