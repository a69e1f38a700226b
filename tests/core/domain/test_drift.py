"""When a measure of served images counts as drift."""

from typing import Any

import pytest

from flawsmith.core.domain.drift import drift_reasons, served_measures
from flawsmith.core.domain.known_images import environment_name
from flawsmith.core.domain.quality_report import MeasureResult
from flawsmith.core.domain.records import valid_name


def measure(value: float, **fields: Any) -> MeasureResult:
    usual: dict[str, Any] = {
        "name": "max_pooled",
        "type": "pits",
        "photographs": 0.0,
        "controls": {},
        "interval": (value - 0.1, value + 0.1),
        "better": "lower",
        "n": 40,
    }
    return MeasureResult(value=value, **usual | fields)


@pytest.mark.parametrize(("served", "drifted"), [(1.0, False), (1.2, False), (1.22, True), (0.78, True)])
def test_what_leaves_the_interval_by_more_than_chance_is_drift(served: float, drifted: bool) -> None:
    [found] = served_measures([measure(served)], [measure(1.0)])
    assert (found.drifted, found.reported, found.value) == (drifted, 1.0, served)
    assert bool(drift_reasons([found], images_changed=False)) == drifted


def test_the_reason_says_what_was_to_be_expected() -> None:
    found = served_measures([measure(2.0)], [measure(1.0)])
    assert drift_reasons(found, images_changed=True) == [
        "max pooled of pits is 2, and 0.788 to 1.21 is to be expected",
        "the images of known addresses changed",
    ]


@pytest.mark.parametrize("fields", [{"counts": False}, {"interval": None}, {"type": "dents"}])
def test_only_measures_that_both_have_and_that_count_are_compared(fields: dict[str, Any]) -> None:
    assert served_measures([measure(9.0, **fields)], [measure(1.0)]) == []
    assert served_measures([measure(9.0)], [measure(1.0, **fields)]) == []


def test_an_environment_is_a_file_name() -> None:
    assert environment_name("cuda:9.0", "2.8.0+cu128") == "cuda-9.0-torch-2.8.0-cu128"
    assert valid_name(environment_name("cpu:" + "x" * 99, "2.8"))
