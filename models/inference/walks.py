"""Walks between latents: what lies between two images of a generator."""

import math

import torch
from torch import Tensor


def slerp(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Latents on the great circle between two, both ends included: (steps, L).

    Normal latents of many dimensions lie near a sphere; a straight line between two would leave it (White 2016,
    arXiv:1609.04468, section 2.1). Lengths are interpolated linearly.

    Args:
        start, end: (L,) float32.
        steps: at least 2.
    """
    along = torch.linspace(0, 1, steps)[:, None]
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1, 1).item()
    angle = math.acos(cosine)
    if math.sin(angle) < 1e-4:  # parallel, where the weights below are not defined
        return torch.lerp(start, end, along)
    return (torch.sin((1 - along) * angle) * start + torch.sin(along * angle) * end) / math.sin(angle)
