"""The dominant direction of an image's lines and edges, from its structure tensor."""

import torch
from torch import Tensor
from torch.nn import functional as F

CELLS = 8  # a side: large enough that neighbours hardly depend on one another (on plain noise 4 % have a direction)
RANDOMISATIONS = 400
LEVEL = 0.01  # a p-value below it rejects that an image has no direction
SMOOTHING = (1.0, 4.0, 6.0, 4.0, 1.0)  # binomial, standard deviation 1 px: below it, a direction is mostly noise


def dominant_directions(images: Tensor) -> tuple[Tensor, Tensor]:
    """The direction of each image's lines, and whether it has one.

    The direction is the eigenvector of the smaller eigenvalue of the structure tensor, summed over the image (Bigun and
    Granlund 1987). An image has a direction if the sum is longer than those in which every cell of the image votes for
    its own direction or for the perpendicular one at random: a randomisation test, so no threshold depends on the
    photographs' contrast.

    Args:
        images: (N, C, side, side) uint8, side at least `CELLS`.

    Returns:
        (N,) float32, degrees counter-clockwise from level, 0 … 180; and (N,) bool.
    """
    votes = torch.cat([_votes(each) for each in images.split(256)])
    total = votes.sum(1)
    angle = torch.atan2(total[:, 1], total[:, 0]).rad2deg() / 2  # of the gradient, y downwards
    return (90 - angle) % 180, _p_values(votes) < LEVEL


def angles_and_strengths(images: Tensor) -> tuple[Tensor, Tensor]:
    """The direction of each image's lines, and how strong it is: the coherence of its structure tensor.

    The coherence is the difference of the tensor's eigenvalues as a share of their sum: 1 where every edge runs along
    the direction, 0 where edges run in all directions alike, or where there is none.

    Args:
        images: (N, C, side, side) uint8, on any device.

    Returns:
        (N,) float32 each: degrees counter-clockwise from level, 0 … 180; and 0 … 1.
    """
    parts = [_angles_and_coherences(each) for each in images.split(256)]
    return torch.cat([angles for angles, _ in parts]), torch.cat([strengths for _, strengths in parts])


def _angles_and_coherences(images: Tensor) -> tuple[Tensor, Tensor]:
    across, down = _gradients(images)
    level, slanted = (across.square() - down.square()).sum((1, 2, 3)), (2 * across * down).sum((1, 2, 3))
    energy = (across.square() + down.square()).sum((1, 2, 3))
    angles = (90 - torch.atan2(slanted, level).rad2deg() / 2) % 180
    return angles.float(), (torch.hypot(level, slanted) / energy.clamp_min(1e-6)).float()


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of smoothed gray values, across and down: (N, 1, side - 6, side - 6) float64, multiples of 1 / 256.

    Channels are summed, since only ratios of what is returned have a meaning. So squares, and their sums over an image,
    are exact: no order in which a processor adds them changes them, nor what is measured in the same batch.
    """
    gray = images.to(torch.float64).sum(1, keepdim=True)
    smooth = torch.tensor(SMOOTHING, dtype=torch.float64, device=images.device) / sum(SMOOTHING)
    gray = F.conv2d(F.conv2d(gray, smooth.view(1, 1, 1, -1)), smooth.view(1, 1, -1, 1))
    return gray[..., 1:-1, 2:] - gray[..., 1:-1, :-2], gray[..., 2:, 1:-1] - gray[..., :-2, 1:-1]


def _votes(images: Tensor) -> Tensor:
    """Anisotropy of the structure tensor in each cell: (N, CELLS**2, 2) float32."""
    across, down = _gradients(images)
    anisotropy = torch.cat([across.square() - down.square(), 2 * across * down], 1)
    cells: Tensor = F.adaptive_avg_pool2d(anisotropy, CELLS)
    votes: Tensor = cells.flatten(2).transpose(1, 2).float()
    return votes


def _p_values(votes: Tensor) -> Tensor:
    """Of the hypothesis that each cell is as likely to point across the image's direction as along it: (N,)."""
    random = torch.Generator().manual_seed(0)
    signs = 1.0 - 2.0 * (torch.rand(RANDOMISATIONS + 1, votes.shape[1], generator=random) < 0.5)
    signs[0] = 1.0  # the image as it is
    lengths = torch.einsum("rc,ncd->nrd", signs, votes).square().sum(2)
    return (lengths >= lengths[:, :1]).float().mean(1)
