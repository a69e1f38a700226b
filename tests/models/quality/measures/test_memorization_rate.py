"""Samples that are near-copies of training photographs, and how near samples are to them."""

import torch
from tests.models.pictures import blots
from torch import Tensor

from flawsmith.models.quality.evaluator import Evaluator


def noisy_copies(images: Tensor) -> Tensor:
    random = torch.Generator().manual_seed(3)
    return (images.float() + torch.randn(images.shape, generator=random)).clamp(0, 255).byte()


def test_copies_are_recognised_and_other_photographs_are_none() -> None:
    evaluator = Evaluator([blots(0)], [blots(1, 20)])
    copies, fresh = evaluator.signals([noisy_copies(blots(0)[:20])]), evaluator.signals([blots(2)])
    assert copies["memorization_rate"] == 1
    assert copies["nearest_distance"] < 0.2
    assert fresh["memorization_rate"] < 0.1
    assert fresh["nearest_distance"] > 2 * copies["nearest_distance"]


def test_copies_are_recognised_without_holdout_photographs() -> None:
    small = blots(0, 20)
    evaluator = Evaluator([small], [small[:0]])
    assert evaluator.signals([small[:10]])["memorization_rate"] == 1
    assert evaluator.signals([blots(2, 20)])["memorization_rate"] < 0.2


def test_duplicates_among_the_photographs_do_not_hide_copies() -> None:
    training, held_out = blots(0), blots(1, 20)
    duplicated = Evaluator([torch.cat([training, training[:1], held_out[:1]])], [torch.cat([held_out, training[:1]])])
    assert duplicated.signals([training[:10]])["memorization_rate"] == 1
    small = training[:20]
    without_holdout = Evaluator([torch.cat([small, small[:1]])], [small[:0]])
    assert without_holdout.signals([small[:10]])["memorization_rate"] == 1
