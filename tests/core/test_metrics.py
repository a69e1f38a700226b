"""The form of a scrape's answer, and labels in bounded number."""

import pytest

from flawsmith.core.metrics import OPENMETRICS, OTHER, PLAIN, BoundedLabel, scrape_format

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (PROMETHEUS_2, OPENMETRICS),
        ("Application/OpenMetrics-Text", OPENMETRICS),
        ("text/plain;q=0.2, application/openmetrics-text;q=0.3", OPENMETRICS),
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/html,application/xhtml+xml,*/*;q=0.8", PLAIN),
        ("text/plain, application/openmetrics-text;q=0.3", PLAIN),
        ("application/openmetrics-text;q=0", PLAIN),
        ("application/openmetrics-text;q=often", PLAIN),
        ("application/openmetrics-text;q=nan", PLAIN),
        (";;,=,q=", PLAIN),
    ],
)
def test_a_scrape_gets_openmetrics_where_it_prefers_it(accept: str, expected: str) -> None:
    assert scrape_format(accept) == expected


def test_a_label_has_a_bounded_number_of_values() -> None:
    label = BoundedLabel(2)
    label.remember(["earlier"])
    assert [label(each) for each in ("earlier", "first", "second", "first", "third")] == [
        "earlier",
        "first",
        OTHER,
        "first",
        OTHER,
    ]
