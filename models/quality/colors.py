"""Color beyond what brightness says: how far pixels are from the tint that photographs have at their luma."""

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
LEAST_CONTRAST = 2.0  # gray levels: an eye hardly sees less
FITTED = 200_000  # pixels at most that the usual color is fitted to


def luma_and_color(images: Tensor) -> tuple[Tensor, Tensor]:
    """Luma, (N, 1, side, side), and what blue and red have more than it, (N, 2, side, side), of RGB gray levels."""
    values = images.float()
    luma = (values * values.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    return luma, values[:, [2, 0]] - luma


def with_color(luma: Tensor, color: Tensor) -> Tensor:
    """RGB gray levels with this luma and color, not rounded; the reverse of `luma_and_color`."""
    blue, red = (color + luma).unbind(1)
    green = (luma[:, 0] - LUMA[0] * red - LUMA[2] * blue) / LUMA[1]
    return torch.stack([red, green, blue], 1)


class Tint:
    """The usual color of photographs at each luma, a parabola by least squares, and how far pixels are from it.

    What pixels have beyond it is measured along the two axes on which they vary most and least, in units of their
    standard deviation, or of `LEAST_CONTRAST` where that is less.

    Args:
        photographs: (N, 3, side, side) uint8.
    """

    def __init__(self, photographs: Tensor) -> None:
        luma, color = luma_and_color(photographs)
        fitted = min(FITTED, luma.numel())
        chosen = torch.arange(fitted) * luma.numel() // fitted
        values, colors = luma.flatten()[chosen], color.transpose(0, 1).flatten(1)[:, chosen].T
        self._curve = torch.linalg.lstsq(_powers(values), colors, driver="gelsd").solution  # (3, 2)
        left = colors - _powers(values) @ self._curve
        variances, axes = torch.linalg.eigh(left.T @ left / len(left))
        sizes = variances.clamp_min(LEAST_CONTRAST**2).sqrt()
        self._to_units, self._from_units = axes / sizes, axes.T * sizes[:, None]

    def beyond(self, images: Tensor) -> Tensor:
        """What pixels have beyond the usual color: (N, 2, side, side) float32, in the units of both axes."""
        luma, color = luma_and_color(images)
        usual = (_powers(luma[:, 0]) @ self._curve).permute(0, 3, 1, 2)
        return torch.einsum("nchw,cd->ndhw", color - usual, self._to_units)

    def moved(self, images: Tensor, by: Tensor) -> Tensor:
        """The images with so much added to what they have beyond the usual color; RGB gray levels, not rounded."""
        luma, color = luma_and_color(images)
        return with_color(luma, color + torch.einsum("ndhw,dc->nchw", by, self._from_units))


def _powers(luma: Tensor) -> Tensor:
    scaled = luma / 255
    return torch.stack([torch.ones_like(scaled), scaled, scaled.square()], -1)
