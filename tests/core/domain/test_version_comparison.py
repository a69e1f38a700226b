"""Two versions side by side: differences with intervals, and the sentence."""

from typing import Any

import pytest

from flawsmith.core.domain.quality_report import MeasureResult, TwoSample
from flawsmith.core.domain.version_comparison import compared_measures, compared_tests, sentence_of

VERSIONS = ("scratches@3", "scratches@2")


def measure(value: float, reach: float | None = 0.1, **fields: Any) -> MeasureResult:
    interval = None if reach is None else (value - reach, value + reach)
    usual: dict[str, Any] = {
        "name": "ridges",
        "type": "scratches",
        "photographs": 0.0,
        "controls": {},
        "better": "lower",
        "n": 40,
    }
    return MeasureResult(value=value, interval=interval, **usual | fields)


def sentence(first: list[MeasureResult], second: list[MeasureResult]) -> str:
    return sentence_of(VERSIONS, "ridges", compared_measures(first, second))


def test_the_interval_of_a_difference_holds_the_errors_of_both() -> None:
    [found] = compared_measures([measure(1.0, 0.3)], [measure(1.8, 0.4)])
    assert (found.values, found.intervals) == ((1.0, 1.8), ((0.7, 1.3), (1.4, 2.2)))
    assert found.difference.value == pytest.approx(0.8)
    assert (found.difference.low, found.difference.high) == (pytest.approx(0.3), pytest.approx(1.3))
    assert found.winner == 0


@pytest.mark.parametrize(("better", "winner"), [("lower", 1), ("higher", 0)])
def test_the_better_direction_decides(better: Any, winner: int) -> None:
    [found] = compared_measures([measure(2.0, better=better)], [measure(1.0, better=better)])
    assert found.winner == winner


@pytest.mark.parametrize(
    "second", [measure(1.1), measure(5.0, counts=False), measure(5.0, None)], ids=["overlap", "blind", "no interval"]
)
def test_nobody_wins_without_a_clear_difference(second: MeasureResult) -> None:
    [found] = compared_measures([measure(1.0)], [second])
    assert found.winner is None


def test_the_sentence_names_the_nearer_version() -> None:
    assert sentence([measure(0.2)], [measure(1.0)]) == (
        "scratches@3 is nearer to photographs than scratches@2: ridges 0.2 against 1, where photographs have 0."
    )
    assert sentence([measure(1.0)], [measure(0.2)]).startswith("scratches@2 is nearer to photographs than scratches@3")


def test_the_sentence_says_where_there_is_no_difference() -> None:
    assert sentence([measure(0.2)], [measure(0.25)]).startswith("No difference that these photographs can show")


def test_the_sentence_says_where_the_photographs_cannot_tell() -> None:
    blind = [measure(0.2, counts=False)]
    assert sentence(blind, [measure(9.0, counts=False)]).startswith("These photographs cannot tell which is nearer")


def test_types_are_compared_together_and_one_by_one() -> None:
    first = [measure(0.2), measure(1.0, type="pits")]
    second = [measure(1.0), measure(0.2, type="pits")]
    overall, scratches, pits = compared_measures(first, second)
    assert (overall.type, overall.values, overall.n) == (None, (0.6, 0.6), 80)
    assert (scratches.winner, pits.winner, overall.winner) == (0, 1, None)
    assert sentence(first, second) == (
        "Neither is nearer to photographs over all types, but scratches@3 is nearer for 'scratches' "
        "and scratches@2 is nearer for 'pits'."
    )


def test_types_on_which_a_measure_is_blind_have_no_say_in_its_mean() -> None:
    first = [measure(0.2), measure(90.0, type="pits", counts=False)]
    second = [measure(1.0), measure(0.0, type="pits", counts=False)]
    assert compared_measures(first, second)[0].values == (0.2, 1.0)


def test_measures_that_only_one_version_has_are_left_out() -> None:
    assert compared_measures([measure(1.0)], [measure(1.0, name="spectrum")]) == []


def test_the_classifiers_are_compared_too() -> None:
    tests = [TwoSample(accuracy=each, interval=(each - 0.05, each + 0.05), n=80) for each in (0.9, 0.6)]
    [found] = compared_tests(*tests)
    assert (found.name, found.winner) == ("two_sample", 1)
    assert compared_tests(None, tests[0]) == []
