"""The orthonormal Haar transform of one level: image ends at half the resolution.

Both networks work on four bands of half the side in place of the image (SWAGAN: Gal et al. 2021, arXiv:2102.06108,
which also shows that details in bands are learned as well as smooth regions). The transform is orthonormal, so the norm
of a gradient by the image is that of the gradient by its bands, and its transpose is its inverse.
"""

import torch
from torch import Tensor

BANDS = 4  # mean, difference across, difference down, difference of diagonals


def haar(images: Tensor) -> Tensor:
    """(B, C, 2 h, 2 w) -> (B, 4 C, h, w): the four bands, each of all channels."""
    upper, lower = images[..., ::2, :], images[..., 1::2, :]
    means, differences = (upper + lower) / 2, (upper - lower) / 2
    left, right = means[..., ::2], means[..., 1::2]
    left_down, right_down = differences[..., ::2], differences[..., 1::2]
    return torch.cat([left + right, left - right, left_down + right_down, left_down - right_down], 1)


def inverse_haar(bands: Tensor) -> Tensor:
    """(B, 4 C, h, w) -> (B, C, 2 h, 2 w): inverse and transpose of `haar`."""
    mean, across, down, diagonal = (bands / 2).chunk(BANDS, 1)
    left, right = mean + across, mean - across
    left_down, right_down = down + diagonal, down - diagonal
    upper = torch.stack([left + left_down, right + right_down], -1).flatten(-2)
    lower = torch.stack([left - left_down, right - right_down], -1).flatten(-2)
    return torch.stack([upper, lower], -2).flatten(-3, -2)
