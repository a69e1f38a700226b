"""Photographs that are alike never stand on both sides of the split."""

import torch
from tests.models.pictures import brighter, streaks
from torch import Tensor

from flawsmith.models.evaluation.labelled_photographs import LabelledPhotographs, split


def of(images: list[Tensor], photograph: Tensor | None = None) -> LabelledPhotographs:
    """A type for each entry, and a photograph for each square unless they are given."""
    type_index = torch.cat([torch.full((len(each),), index) for index, each in enumerate(images)])
    numbers = torch.arange(len(type_index)) if photograph is None else photograph
    types = [str(index) for index in range(len(images))]
    return LabelledPhotographs(types, torch.cat(images), type_index, numbers, [None] * len(type_index))


def test_it_holds_out_so_many_of_each_type_and_leaves_the_others() -> None:
    photographs = of([streaks(1, 30), streaks(2, 20)])
    found = split(photographs, [10, 5], seed=0)
    assert photographs.type_index[found.held_out].bincount().tolist() == [10, 5]
    assert [len(each) for each in found.left] == [20, 15]
    every = torch.cat([found.held_out, *(square for each in found.left for square in each)])
    assert sorted(every.tolist()) == list(range(50))
    assert not torch.equal(split(photographs, [10, 5], seed=1).held_out, found.held_out)


def test_near_duplicates_stay_on_one_side() -> None:
    originals = streaks(3, 40)
    photographs = of([torch.cat([originals, brighter(originals[:20])])])  # 40 … 59 are copies of 0 … 19
    for seed in range(5):
        held_out = set(split(photographs, [20], seed).held_out.tolist())
        assert len(held_out) == 20
        assert all((copy in held_out) == (copy - 40 in held_out) for copy in range(40, 60))


def test_squares_of_a_photograph_stay_on_one_side() -> None:
    photographs = of([streaks(4, 30)], torch.arange(30) // 3)
    found = split(photographs, [4], seed=0)
    assert len(found.held_out) == 12
    assert photographs.photograph[found.held_out].bincount().tolist().count(3) == 4
    assert [len(each) for each in found.left[0]] == [3] * 6


def test_a_type_of_one_part_only_has_none_held_out() -> None:
    one = streaks(5, 1)
    found = split(of([one.repeat(9, 1, 1, 1), streaks(6, 9)]), [3, 3], seed=0)
    assert (found.held_out >= 9).all()
    assert [len(each) for each in found.left] == [9, 6]


def test_a_photograph_with_squares_of_two_types_is_on_one_side_for_both() -> None:
    random = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (12, 1, 32, 32), generator=random, dtype=torch.uint8) for _ in range(2)]
    photographs = of(images, torch.cat([torch.arange(12), torch.arange(12)]))
    found = split(photographs, [3, 3], seed=1)
    unseen = set(photographs.photograph[found.held_out].tolist())
    left = {int(photographs.photograph[each[0]]) for of_type in found.left for each in of_type}
    assert len(found.held_out) == 6 and not unseen & left
