"""Copy and paste of real defects: the simplest way to more pictures, and what generated ones must be worth more than.

Without masks: CutPaste (Li et al. 2021, arXiv:2104.04015), a rectangle of one photograph on another of its type. With
masks: the marked pixels, as Dwibedi et al. 2017 (arXiv:1708.01642) paste objects, at another place.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

LEAST_SHARE, MOST_SHARE = 0.125, 0.5  # of the side, for the sides of a rectangle


def pasted(
    images: Tensor, masks: Sequence[Tensor | None], count: int, random: torch.Generator, backgrounds: Tensor | None
) -> Tensor:
    """Pictures of one type, each with a part of one photograph on another: (count, C, side, side) uint8.

    Args:
        images: (N, C, side, side) uint8, of one type.
        masks: of each, (side, side) bool or None.
        count: how many to make.
        random: decides parts and places.
        backgrounds: (M, C, side, side) uint8, clean photographs to paste marked defects on; None: other photographs of
            the type. Rectangles, which may not show the defect, are pasted on photographs of the type at any rate.
    """
    made = []
    for _ in range(count):
        source = _below(len(images), random)
        mask = masks[source]
        if mask is not None and mask.any():
            onto = images if backgrounds is None or not len(backgrounds) else backgrounds
            made.append(_marked_on(images[source], mask, onto[_below(len(onto), random)], random))
        else:
            made.append(_rectangle_on(images[source], images[_below(len(images), random)], random))
    return torch.stack(made) if made else images[:0]


def _marked_on(source: Tensor, mask: Tensor, target: Tensor, random: torch.Generator) -> Tensor:
    rows, columns = mask.any(1).nonzero().squeeze(1), mask.any(0).nonzero().squeeze(1)
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
    down, right = _place(height, width, mask.shape[-1], random)
    made = target.clone()
    part = made[:, down : down + height, right : right + width]
    marked = mask[top : top + height, left : left + width]
    part.copy_(torch.where(marked, source[:, top : top + height, left : left + width], part))
    return made


def _rectangle_on(source: Tensor, target: Tensor, random: torch.Generator) -> Tensor:
    side = source.shape[-1]
    shares = LEAST_SHARE + (MOST_SHARE - LEAST_SHARE) * torch.rand(2, generator=random)
    height, width = (max(1, round(side * each)) for each in shares.tolist())
    top, left = _place(height, width, side, random)
    down, right = _place(height, width, side, random)
    made = target.clone()
    made[:, down : down + height, right : right + width] = source[:, top : top + height, left : left + width]
    return made


def _place(height: int, width: int, side: int, random: torch.Generator) -> tuple[int, int]:
    """Where a rectangle of this size lies within the side."""
    return _below(side - height + 1, random), _below(side - width + 1, random)


def _below(bound: int, random: torch.Generator) -> int:
    return int(torch.randint(bound, (), generator=random))
