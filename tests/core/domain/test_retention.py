"""Rules of retention: how they are written, and what they delete."""

from datetime import UTC, datetime, timedelta

import pytest

from flawsmith.core.domain.retention import Rule, Stored, due, parse_retention

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def stored(name: str, days: float, used: str | None = None) -> Stored:
    return Stored("jobs", name, NOW - timedelta(days=days), used)


def test_a_rule_has_an_age_a_size_or_both() -> None:
    assert parse_retention("") == {}
    assert parse_retention(" jobs:90d , exports:1.5h:50GB, samples:300MB") == {
        "jobs": Rule(90 * 86400.0),
        "exports": Rule(5400.0, 50 * 10**9),
        "samples": Rule(None, 300 * 10**6),
    }


@pytest.mark.parametrize(
    "text",
    ["jobs", "jobs:", "jobs:90", "job:90d", "jobs:-1d", "jobs:1d:2d", "jobs:1d:1GB:2GB", "jobs:1d,jobs:2d", "90d"],
)
def test_what_is_no_rule_says_what_would_be_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as jobs:"):
        parse_retention(text)


def test_what_is_too_old_goes_unless_it_is_used() -> None:
    found = due(Rule(seconds=86400), [stored("a", 2), stored("b", 0.9), stored("c", 5, "an alias")], {}, NOW)
    assert [(each.stored.id, each.why) for each in found] == [("a", "older than 1 d")]


def test_the_oldest_go_until_the_rest_fits() -> None:
    sizes = {"a": 40, "b": 40, "c": 40, "d": 40, "e": 0}
    everything = [stored("d", 1), stored("b", 3), stored("c", 2), stored("a", 4, "an alias"), stored("e", 9)]
    found = due(Rule(bytes=100), everything, sizes, NOW)
    assert [each.stored.id for each in found] == ["b", "c"]  # what is used counts, and stays
    assert due(Rule(bytes=160), everything, sizes, NOW) == []
    both = due(Rule(seconds=2.5 * 86400, bytes=130), everything, sizes, NOW)
    assert [each.stored.id for each in both] == ["e", "b"]
