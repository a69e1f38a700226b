"""What every drawing needs: coordinates, chance and random fields of a given grain.

Lengths are in points, 1/64 of the picture's side, so that a scratch takes the same part of a picture at any resolution.
What a camera only just resolves (grain, edges, hair lines) is given in pixels, and is finer in a larger picture.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Plane = NDArray[np.float32]

POINTS = 64
MARGIN = 1.3  # a field is periodic: it is drawn larger than the picture, and its opposite edges differ


@dataclass(frozen=True)
class Canvas:
    """One picture to be drawn.

    Attributes:
        random: the picture's only source of chance.
        side: pixels a side.
        x, y: (side, side) points, rightwards and upwards from the centre, -32 … 32.
        grain: direction of the surface's grain, degrees counter-clockwise from level, 0 … 180.
    """

    random: np.random.Generator
    side: int
    x: Plane
    y: Plane
    grain: float

    @property
    def pixel(self) -> float:
        """Points a pixel."""
        return POINTS / self.side

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def between(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def scale(self, low: float, high: float) -> float:
        """A length or a contrast: log-uniform, because real ones spread over magnitudes."""
        return float(np.exp(self.random.uniform(np.log(low), np.log(high))))

    def fine(self, pixels: float, points: float) -> float:
        """A fine length in points, from so many pixels up to so many points: at 64 px both units are the same."""
        low = pixels * self.pixel
        return self.scale(low, max(points, 1.01 * low))

    def signed(self, low: float, high: float, bright: float = 0.5) -> float:
        """A contrast in gray levels, lighter than the surface with probability `bright`."""
        return self.scale(low, high) * (1 if self.chance(bright) else -1)

    def place(self, inside: float = 30) -> tuple[float, float]:
        """A point of the picture, at most so many points from its centre in x and in y."""
        return self.between(-inside, inside), self.between(-inside, inside)

    def axes(self, angle: float, centre: tuple[float, float] = (0, 0)) -> tuple[Plane, Plane]:
        """Coordinates along and across a direction (degrees), in points: two planes."""
        cos, sin = np.float32(np.cos(np.deg2rad(angle))), np.float32(np.sin(np.deg2rad(angle)))
        x, y = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        return cos * x + sin * y, cos * y - sin * x

    def field(self, along: float, across: float, angle: float = 0, decay: float | None = None) -> Plane:
        """A Gaussian random field with mean 0 and standard deviation 1.

        Args:
            along, across: correlation lengths in points, along and across the direction `angle` (degrees).
            decay: None draws one size of structure (Gaussian kernel). A number draws sizes of all kinds below the
                lengths: the amplitude falls with this power of the squared frequency (Matérn), 0.7 rough … 2 smooth.
        """
        n = fft.next_fast_len(int(self.side * MARGIN), real=True)
        fx, fy = _frequencies(n)
        cos, sin = np.float32(np.cos(np.deg2rad(angle))), np.float32(np.sin(np.deg2rad(angle)))
        px = np.float32(2 * np.pi / self.pixel)
        q = ((cos * fx - sin * fy) * px * np.float32(along)) ** 2 + (
            (sin * fx + cos * fy) * px * np.float32(across)
        ) ** 2
        amplitude = np.exp(-q / 2) if decay is None else (1 + q) ** np.float32(-decay)
        amplitude[:, 0] *= np.float32(np.sqrt(2))  # irfft2 keeps only half of this column's power
        amplitude[0, 0] = 0
        white = self.random.standard_normal((2, n, n // 2 + 1), dtype=np.float32)
        drawn = fft.irfft2(amplitude * (white[0] + 1j * white[1]), s=(n, n))[: self.side, : self.side]
        return standardised(drawn)

    def wave(self, period: float, roughness: float = 0.5) -> tuple[Plane, Plane]:
        """A random curve over -64 … 64 points with features of about `period`: its abscissae and its values (std 1)."""
        knots = int(2 * POINTS / period) + 4
        steps = self.random.standard_normal(4 * knots).astype(np.float32)
        smooth = np.convolve(steps, np.hanning(9).astype(np.float32), "same")
        values = standardised(smooth) * (1 - roughness) + roughness * steps
        return np.linspace(-POINTS, POINTS, 4 * knots, dtype=np.float32), values.astype(np.float32)

    def along_wave(self, where: Plane, period: float, roughness: float = 0) -> Plane:
        """A random curve (`wave`) read at each pixel's coordinate."""
        at, values = self.wave(period, roughness)
        return np.interp(where.ravel(), at, values).astype(np.float32).reshape(where.shape)


def blank(seed: int, side: int, grain: float) -> Canvas:
    """An empty picture: the same seed and side draw the same."""
    x, y = _coordinates(side)
    return Canvas(np.random.default_rng(seed), side, x, y, grain)


def standardised(plane: Plane) -> Plane:
    """Mean 0, standard deviation 1."""
    centred = plane - plane.mean()
    scaled: Plane = (centred / (centred.std() + np.float32(1e-6))).astype(np.float32)
    return scaled


def step(distance: Plane, softness: float) -> Plane:
    """0 outside, 1 inside: a smooth step over `softness` on either side of where the signed distance is 0."""
    t = np.clip(distance / np.float32(2 * softness) + np.float32(0.5), 0, 1)
    smooth: Plane = t * t * (3 - 2 * t)
    return smooth


def relief(height: Plane, light: float) -> Plane:
    """The shading of a height field lit at a low angle from the direction `light` (degrees): signed, per pixel."""
    down, right = (np.asarray(slope, np.float32) for slope in np.gradient(height))
    shading: Plane = np.float32(np.sin(np.deg2rad(light))) * down - np.float32(np.cos(np.deg2rad(light))) * right
    return shading


@lru_cache(maxsize=8)
def _coordinates(side: int) -> tuple[Plane, Plane]:
    at = ((np.arange(side, dtype=np.float32) + np.float32(0.5)) / side - np.float32(0.5)) * POINTS
    x, y = (plane.astype(np.float32) for plane in np.meshgrid(at, -at))
    x.flags.writeable = y.flags.writeable = False
    return x, y


@lru_cache(maxsize=8)
def _frequencies(n: int) -> tuple[Plane, Plane]:
    """Cycles a pixel of `irfft2`'s spectrum, upwards positive: (n, n // 2 + 1) each."""
    fx, fy = np.meshgrid(fft.rfftfreq(n), -fft.fftfreq(n))
    return fx.astype(np.float32), fy.astype(np.float32)
