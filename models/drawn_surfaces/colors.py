"""Colour: how gray levels of one material become red, green and blue."""

import numpy as np

from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane

# Factors on red, green and blue of what is photographed in public sets, each to be varied.
MATERIALS: dict[str, tuple[float, float, float]] = {
    "steel": (1.0, 1.0, 1.02),
    "wood": (1.25, 0.98, 0.68),
    "leather": (1.2, 0.92, 0.72),
    "rust": (1.35, 0.85, 0.6),
    "copper": (1.3, 0.92, 0.78),
    "concrete": (1.03, 1.0, 0.95),
    "tile": (0.98, 1.0, 1.03),
    "green board": (0.7, 1.15, 0.85),
}


def tint(canvas: Canvas, surface: Plane, change: Plane) -> Plane:
    """Gives a surface and its flaws a colour each: (3, side, side) float32.

    Channels stay strongly correlated, as in photographs of one material: one factor a channel, a slow drift of the hue
    (oxide, uneven lamps), and flaws that show another layer (primer, rust, bare metal) half the time.
    """
    base = _factors(canvas)
    other = _factors(canvas) if canvas.chance(0.5) else base
    drift = canvas.field(30, 20, canvas.grain, decay=1) * np.float32(canvas.scale(0.003, 0.05))
    slope = canvas.random.normal(0, 1, 3)
    planes = []
    for channel in range(3):
        hue = np.float32(base[channel]) * (1 + drift * np.float32(slope[channel]))
        planes.append(surface * hue + change * np.float32(other[channel]))
    return np.stack(planes)


def _factors(canvas: Canvas) -> tuple[float, float, float]:
    """A material's factors, or a paint's of any hue; about 1 on average, so that brightness stays as drawn."""
    if canvas.chance(0.15):
        hue = canvas.between(0, 2 * np.pi)
        strength = canvas.between(0.05, 0.4)
        drawn = [1 + strength * np.cos(hue - turn) for turn in (0, 2.094, 4.189)]
    else:
        material = MATERIALS[str(canvas.random.choice(list(MATERIALS)))]
        pull = canvas.between(0.2, 1.1)
        drawn = [1 + pull * (factor - 1) + canvas.random.normal(0, 0.03) for factor in material]
    return float(drawn[0]), float(drawn[1]), float(drawn[2])
