"""The camera: exposure, focus, noise, and the traces of compression."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from flawsmith.models.drawn_surfaces.canvas import Canvas, Plane

BLOCK = 8  # JPEG's


def photograph(canvas: Canvas, planes: Plane) -> NDArray[np.uint8]:
    """What the sensor keeps of (C, side, side) gray levels: uint8 of the same shape.

    Focus: pictures are made smaller before they are learned from, so most are sharp (0.2 … 0.65 px); 15 % are not.
    Noise: read noise for all, and shot noise that grows with the root of the light. Exposure clips.
    """
    blur = canvas.between(0.2, 0.65) if canvas.chance(0.85) else canvas.scale(0.65, 1.8)
    seen = ndimage.gaussian_filter(planes, (0, blur, blur), mode="nearest", truncate=3)
    read, shot = canvas.scale(0.3, 5), canvas.scale(0.02, 0.4)
    deviation = np.sqrt(np.float32(read**2) + np.float32(shot**2) * np.clip(seen, 0, 255))
    noise = canvas.random.standard_normal(planes.shape, dtype=np.float32)
    if len(planes) > 1:  # the colour filter's neighbours are interpolated: noise is mostly common to the channels
        noise = np.float32(0.45) * noise + np.float32(0.9) * noise[:1]
    seen = seen + deviation * noise
    if canvas.chance(0.15):
        seen = compressed(seen, canvas.scale(2, 14))
    pixels: NDArray[np.uint8] = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    return pixels


def stretched(canvas: Canvas, planes: Plane) -> Plane:
    """A contrast stretch, as cameras on dark strips do it: white and black clip. Public sets reach a contrast of 70."""
    middle = np.float32(planes.mean() + canvas.random.normal(0, 15))
    factor = min(canvas.scale(1.2, 3.2), 70 / (float(planes.std()) + 1))
    return middle + (planes - middle) * np.float32(max(factor, 1))


def compressed(planes: Plane, coarseness: float) -> Plane:
    """Rounds the cosine transform of 8 x 8 blocks, coarser for fine structure: the softness of JPEG, not its bytes."""
    channels, side, _ = planes.shape
    extra = -side % BLOCK
    padded = np.pad(planes, ((0, 0), (0, extra), (0, extra)), mode="edge")
    blocks = padded.reshape(channels, (side + extra) // BLOCK, BLOCK, (side + extra) // BLOCK, BLOCK)
    frequency = np.add.outer(np.arange(BLOCK), np.arange(BLOCK)).astype(np.float32)
    steps = (np.float32(coarseness) * (1 + frequency / 2))[None, None, :, None, :]
    rounded = np.rint(fft.dctn(blocks, axes=(2, 4), norm="ortho") / steps) * steps
    restored = fft.idctn(rounded, axes=(2, 4), norm="ortho").reshape(padded.shape)
    cropped: Plane = restored[:, :side, :side].astype(np.float32)
    return cropped
