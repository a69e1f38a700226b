"""Two draws of one generator must not be told apart, however far it is from photographs."""

from collections.abc import Generator
from itertools import combinations
from typing import Any

import pytest
import torch
from tests.models.pictures import blots, blurred

from flawsmith.core.domain.quality_report import MeasureResult
from flawsmith.core.domain.version_comparison import compared_measures
from flawsmith.models.quality.judged_photographs import JudgedPhotographs
from flawsmith.models.quality.judging import calibrating
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.worker.sampling_error import judged_with_error, widened

FAST = ("ridges", "max_pooled")
DRAWS = 6


def result(steps: Generator[None, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_an_interval_holds_both_errors() -> None:
    measure = MeasureResult(
        name="ridges",
        type="pits",
        value=1.0,
        photographs=0.0,
        controls={},
        interval=(0.7, 1.3),
        better="lower",
        n=40,
    )
    low, high = widened(measure, 0.4 / 2.262).interval or (0, 0)
    assert (low, high) == (pytest.approx(0.5), pytest.approx(1.5))
    assert widened(measure, None) == measure
    low, high = widened(measure.changed(interval=None), 0.1).interval or (0, 0)
    assert high - 1.0 == pytest.approx(0.2262)


def test_draws_of_one_generator_do_not_differ() -> None:
    photographs = blots(0, 50)
    judged = JudgedPhotographs(["pits"], [photographs[:30]], [photographs[30:]], [[None] * 30], [[None] * 20])
    calibration = result(calibrating(judged, [each for each in SPACES if each.name in FAST]))
    draws = []
    for number in range(DRAWS):
        samples = blurred(blurred(blots(1000 + number, 200)))
        draws.append(
            result(judged_with_error(calibration, lambda _, first, count, of=samples: of[first : first + count]))
        )
    pairs = [compared_measures(a.measures, b.measures) for a, b in combinations(draws, 2)]
    clear = [each.name for pair in pairs for each in pair if each.name in FAST and each.difference.clear]
    assert len(clear) <= len(pairs) * len(FAST) * 0.1
    # their values do vary: the spread of photographs alone would have told many of them apart
    values = torch.tensor([each.value for one in draws for each in one.measures if each.name == "ridges"])
    assert values.std() > 0.05
