"""Signals of samples beside photographs: each moves when what it warns of happens."""

import torch
from torch import Tensor

from flawsmith.models.quality.evaluator import Evaluator


def photographs(seed: int, count: int = 40) -> Tensor:
    """A blot of random place, size and depth on grain."""
    random = torch.Generator().manual_seed(seed)
    x, y, radius, depth = torch.rand(4, count, 1, 1, generator=random)
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    away = torch.hypot(columns - 32 * x, rows - 32 * y)
    blot = (40 + 80 * depth) * torch.exp(-((away / (3 + 8 * radius)) ** 2))
    return (150 + 15 * torch.randn(count, 32, 32, generator=random) - blot).clamp(0, 255).byte()[:, None]


def watch() -> Evaluator:
    return Evaluator([photographs(0)], [photographs(1, 20)])


def test_other_photographs_of_the_kind_are_near_and_no_copies() -> None:
    signals = watch().signals([photographs(2)])
    assert abs(signals["distance"]) < 0.1
    assert 0.7 < signals["diversity"] < 1.4
    assert signals["memorization_rate"] < 0.1
    assert signals["near_duplicates"] < 0.05


def test_copies_are_told() -> None:
    copies = photographs(0)[:20].float() + torch.randn(20, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    signals = watch().signals([copies.clamp(0, 255).byte()])
    assert signals["memorization_rate"] == 1
    assert signals["nearest_distance"] < 0.2


def test_copies_are_told_where_no_photograph_is_kept_aside() -> None:
    small = photographs(0, 20)
    assert Evaluator([small], [small[:0]]).signals([small[:10]])["memorization_rate"] == 1
    assert Evaluator([small], [small[:0]]).signals([photographs(2, 20)])["memorization_rate"] < 0.2


def test_a_photograph_that_is_there_twice_does_not_hide_copies() -> None:
    training, aside = photographs(0), photographs(1, 20)
    twice = Evaluator([torch.cat([training, training[:1], aside[:1]])], [torch.cat([aside, training[:1]])])
    assert twice.signals([training[:10]])["memorization_rate"] == 1
    small = training[:20]
    assert Evaluator([torch.cat([small, small[:1]])], [small[:0]]).signals([small[:10]])["memorization_rate"] == 1


def test_types_count_alike_however_many_photographs_each_has() -> None:
    """So neither is a model of all types worse for being right about the rare one, nor better for leaving it out."""
    blots, plates = photographs(0), photographs(1, 6).flip(3) // 2
    watched = Evaluator([blots, plates], [photographs(2, 20), plates[:0]])
    right = watched.signals([photographs(3, 20), photographs(4, 20).flip(3) // 2])["distance"]
    without_the_rare = watched.signals([photographs(3, 20), photographs(4, 20)])["distance"]
    taken_for_each_other = watched.signals([photographs(4, 20).flip(3) // 2, photographs(3, 20)])["distance"]
    assert abs(right) < 0.1
    assert without_the_rare > 0.3
    assert taken_for_each_other > 0.6


def test_one_image_again_and_again_is_told() -> None:
    signals = watch().signals([photographs(2)[:1].expand(30, -1, -1, -1)])
    assert signals["near_duplicates"] == 1
    assert signals["diversity"] < 0.05
    assert signals["distance"] > 0.3


def test_the_smallest_set_there_is_can_be_watched() -> None:
    two = photographs(0, 2)
    assert set(Evaluator([two], [two[:0]]).signals([photographs(2, 4)])) == {
        "distance", "diversity", "near_duplicates", "nearest_distance"
    }  # fmt: skip
