"""Which steps are recorded and evaluated."""

import math

import pytest

from flawsmith.worker.cadence import HISTORY_POINTS, Cadence


def evaluated(cadence: Cadence, steps: range, total: int) -> list[int]:
    return [step for step in steps if cadence.advance(step, step / total)[1]]


def test_a_short_run_records_every_step_and_evaluates_all_of_fifty() -> None:
    cadence = Cadence(50, None)
    assert [cadence.advance(step, step / 50) for step in range(1, 51)] == [(True, True)] * 50


def test_a_long_run_evaluates_its_first_step_and_fifty_equal_parts() -> None:
    assert evaluated(Cadence(5000, None), range(1, 5001), 5000) == [1, *range(100, 5001, 100)]
    cadence = Cadence(5000, None)
    assert sum(cadence.advance(step, step / 5000)[0] for step in range(1, 5001)) == HISTORY_POINTS + 1


@pytest.mark.parametrize("stop", [1, 99, 100, 101])
def test_a_resumed_run_evaluates_the_same_steps(stop: int) -> None:
    rest = Cadence(5000, None)
    rest.resume(stop, stop / 5000)
    whole = [1, *range(100, 5001, 100)]
    assert evaluated(rest, range(stop + 1, 5001), 5000) == [step for step in whole if step > stop]


def test_a_run_of_a_given_time_follows_its_time_where_that_is_further() -> None:
    cadence = Cadence(1_000_000, 400.0)
    assert cadence.evaluations == 50
    assert [cadence.advance(step, progress)[1] for step, progress in ((2, 0.0), (3, 0.021), (4, 0.03), (5, 0.04))] == [
        False, True, False, True
    ]  # fmt: skip


def test_a_short_time_has_an_evaluation_every_four_seconds() -> None:
    assert Cadence(1000, 8.0).evaluations == 3
    assert Cadence(1000, math.inf).evaluations == 50
