"""Surfaces with a period or a pattern of growth: woven, machined, wood, stone."""

import numpy as np

from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane, standardised


def woven(canvas: Canvas) -> Plane:
    """Cloth, carbon fibre, mesh: two sets of threads, plain or twill, 2.5 … 12 points a thread."""
    period = canvas.scale(max(2.5, 2.6 * canvas.pixel), 12)
    along, across = canvas.axes(canvas.grain + canvas.random.normal(0, 3))
    warp = canvas.field(14, 14) * np.float32(0.12 * period)
    phase = np.float32(2 * np.pi / period)
    warp_threads, weft_threads = np.cos((across + warp) * phase), np.cos((along - warp) * phase)
    if canvas.chance(0.4):
        threads = np.cos((along + across + warp) * phase) + np.float32(0.5) * weft_threads
    else:
        threads = warp_threads * weft_threads + np.float32(canvas.between(0, 0.8)) * (warp_threads + weft_threads)
    uneven = canvas.field(canvas.scale(3, 20), canvas.fine(0.5, 1.5), canvas.grain)
    return (standardised(threads) + uneven * np.float32(canvas.between(0.2, 0.8))) * np.float32(canvas.scale(3, 22))


def machined(canvas: Canvas) -> Plane:
    """Marks of a tool at its feed, 2 … 14 points apart: straight from planing, arcs from milling and turning."""
    along, across = canvas.axes(canvas.grain)
    if canvas.chance(0.4):
        radius = canvas.scale(40, 300)
        across = np.hypot(along - np.float32(canvas.between(-30, 30)), across + np.float32(radius))
        across = across - np.float32(radius)
    period = canvas.scale(max(2, 2.3 * canvas.pixel), 14)
    drift = canvas.field(60, 20, canvas.grain) * np.float32(0.08 * period)
    saw = np.cos((across + drift) * np.float32(2 * np.pi / period))
    sharp = np.sign(saw) * np.abs(saw) ** np.float32(canvas.between(0.4, 1.6))
    lines = canvas.along_wave(across, canvas.fine(1, 3), roughness=0.7)
    mixed = sharp * np.float32(canvas.between(0.2, 1)) + lines * np.float32(canvas.between(0.2, 0.8))
    grain = canvas.field(canvas.fine(0.4, 2), canvas.fine(0.3, 0.8), canvas.grain, decay=1.2)
    return standardised(mixed) * np.float32(canvas.scale(2.5, 18)) + grain * np.float32(canvas.scale(1, 7))


def wooden(canvas: Canvas) -> Plane:
    """Year rings cut lengthwise: uneven bands that bend slowly, with fibres and pores along them."""
    _, across = canvas.axes(canvas.grain)
    bent = across + canvas.field(80, 18, canvas.grain) * np.float32(canvas.scale(0.5, 5))
    rings = canvas.along_wave(bent, canvas.scale(2, 12), roughness=0.2)
    fibres = canvas.field(canvas.scale(6, 25), canvas.fine(0.3, 0.7), canvas.grain, decay=1.4)
    pores = np.minimum(fibres + np.float32(canvas.between(0.5, 1.5)), 0)
    mixed = rings * np.float32(canvas.scale(3, 16)) + fibres * np.float32(canvas.scale(2, 8))
    surface: Plane = mixed + pores * np.float32(canvas.scale(2, 18))
    return surface


def mottled(canvas: Canvas) -> Plane:
    """Stone, terrazzo, magnetic tile, galvanised crystals: patches of a few gray levels with sharp edges."""
    size = canvas.scale(1.2, 9)
    patches = canvas.field(size, size * canvas.scale(0.6, 1), canvas.between(0, 180), decay=1.6)
    levels = np.tanh(patches * np.float32(canvas.scale(1, 8))) + np.float32(0.4) * patches
    fine = canvas.field(canvas.fine(0.35, 0.8), canvas.fine(0.3, 0.7), canvas.grain)
    surface: Plane = levels * np.float32(canvas.scale(2, 20)) + fine * np.float32(canvas.scale(1.5, 10))
    return surface
