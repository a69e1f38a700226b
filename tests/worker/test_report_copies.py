"""The report's search for copies: by the same rule as `max_similarity`, among the photographs of every type."""

from types import SimpleNamespace
from typing import Any, cast

import torch
from tests.models.pictures import blots
from torch import Tensor

from flawsmith.worker.reports.analysis import CopyAnalysis
from flawsmith.worker.reports.copies import copy_stage
from flawsmith.worker.reports.material import FIRST_SEED, Material

PHOTOGRAPHS = blots(seed=0, count=60)
TYPE_INDEX = torch.arange(60) % 2
HELD_OUT = torch.arange(60) >= 50
FRESH = blots(seed=3, count=40)


def found(samples: list[Tensor]) -> CopyAnalysis:
    """What the stage says of these samples of pits and of scratches; the last ten photographs were held out."""

    def of(index: int, held_out: bool) -> Tensor:
        return PHOTOGRAPHS[(index == TYPE_INDEX) & (held_out == HELD_OUT)]

    material: Any = SimpleNamespace(
        classes=["pits", "scratches"],
        photographs=SimpleNamespace(
            classes=["pits", "scratches"],
            images=PHOTOGRAPHS,
            type_index=TYPE_INDEX,
            held_out=HELD_OUT,
            files=[f"{number}.png" for number in range(60)],
        ),
        training=lambda index: of(index, False),
        holdout=lambda index: of(index, True),
        samples=lambda index: samples[index],
    )
    return list(copy_stage(cast(Material, material)))[-1]


def test_a_shifted_copy_of_another_types_photograph_is_the_worst_pair() -> None:
    pits = FRESH[:20].clone()
    pits[4] = PHOTOGRAPHS[7].roll((1, -2), (1, 2)).rot90(1, (1, 2))  # number 7 is of scratches
    worst = found([pits, FRESH[20:]]).worst[0].pair
    assert (worst.seed, worst.defect_type, worst.file) == (FIRST_SEED + 4, "pits", "7.png")
    assert worst.distance < 0.01


def test_photographs_of_the_other_type_returned_are_copies() -> None:
    of_scratches = PHOTOGRAPHS[1:50:2].roll(1, 3)
    pits, scratches = found([of_scratches, FRESH]).types
    assert (pits.samples.memorization_rate, pits.samples.authenticity) == (1, 0)
    assert scratches.samples.memorization_rate is not None
    assert scratches.samples.memorization_rate < 0.2
    assert scratches.samples.authenticity > 0.2
