"""Photographs with their types, and their split into those held out and those that classifiers may see."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flawsmith.models.evaluation.overlaps import overlapping_pairs
from flawsmith.models.training.holdout import photograph_groups, whole_groups


@dataclass(frozen=True)
class LabelledPhotographs:
    """Photographs cut into squares: an entry for each square.

    Attributes:
        types: what a classifier tells apart.
        images: (N, C, side, side) uint8.
        type_index: (N,) int64, positions in ``types``.
        photograph: (N,) int64, the number of the photograph that the square was cut from.
        masks: for each, the pixels that show a defect, (side, side) bool; None where there is no mask.
    """

    types: list[str]
    images: Tensor
    type_index: Tensor
    photograph: Tensor
    masks: list[Tensor | None]


@dataclass(frozen=True)
class Split:
    """Which squares are held out, and for each type the squares of each photograph that is left.

    Attributes:
        held_out: (H,) int64, positions in the photographs.
        left: by type, for each photograph the positions of its squares, (S,) int64 each.
    """

    held_out: Tensor
    left: list[list[Tensor]]

    @property
    def fewest_left(self) -> int:
        """Photographs of the type that has the fewest left."""
        return min(map(len, self.left))


def split(photographs: LabelledPhotographs, counts: Sequence[int], seed: int, seen: Tensor | None = None) -> Split:
    """Holds photographs out at random; none that is left is a near-duplicate of one, overlaps it or is a square of it.

    Args:
        photographs: all of them.
        counts: by type, how many photographs to hold out; fewer are where only larger groups of near-duplicates are
            left.
        seed: decides the choice.
        seen: (N,) bool, squares that a generator was trained on before: neither their photographs nor what belongs
            to these is held out.
    """
    random = torch.Generator().manual_seed(seed)
    held_out: list[Tensor] = []
    left: list[list[Tensor]] = []
    for each, count in enumerate(counts):
        squares = (photographs.type_index == each).nonzero().squeeze(1)
        numbers, of_square = photographs.photograph[squares].unique(return_inverse=True)
        by_photograph = [squares[of_square == number] for number in range(len(numbers))]
        groups = _groups(photographs.images[squares], of_square, len(numbers))
        order = torch.randperm(len(numbers), generator=random)
        if seen is not None:
            order = order[~torch.isin(groups[order], groups[of_square[seen[squares]]])]
        chosen = set(whole_groups(order, groups, count).tolist())
        held_out += [by_photograph[number] for number in sorted(chosen)]
        left.append([each for number, each in enumerate(by_photograph) if number not in chosen])
    spared = torch.cat(held_out) if held_out else torch.zeros(0, dtype=torch.int64)
    # Around annotations, a photograph can have squares of several types.
    unseen = set(photographs.photograph[spared].tolist())
    left = [[each for each in of_type if int(photographs.photograph[each[0]]) not in unseen] for of_type in left]
    return Split(spared, left)


def _groups(images: Tensor, photograph: Tensor, count: int) -> Tensor:
    """The group of each photograph, (count,) int64: a square that resembles or overlaps another joins both."""
    groups = torch.zeros(count, dtype=torch.int64)
    groups[photograph] = photograph_groups(images, photograph)  # equal for the squares of one
    for pair in overlapping_pairs(images).tolist():
        joined = groups[photograph[pair]]
        groups[torch.isin(groups, joined)] = joined.min()
    return groups
