"""No count falls when the API is restarted, however it ended."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric

from flawsmith.app import carried_counts
from flawsmith.app.carried_counts import CarriedCounts
from flawsmith.core.metrics import BoundedLabel


class Api:
    """One run of an API with a few metrics, which carries on what the run before it saved."""

    def __init__(self, saved: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        monkeypatch.setenv(carried_counts.CARRIED_VARIABLE, "")
        carried_counts.begin(saved, folder)
        found = carried_counts.carried_counts(saved)
        assert found is not None
        self.carried = found
        self.registry = CollectorRegistry()
        self.requests = Counter("flawsmith_asked_total", "asked", ["model"], registry=self.registry)
        self.seconds = Histogram("flawsmith_asked_seconds", "time", buckets=(1, 2), registry=self.registry)
        self.loaded = Gauge("flawsmith_now", "a gauge", registry=self.registry)

    def scrape(self) -> dict[str, float]:
        with self.carried.saving():
            families: list[Metric] = self.carried.added(self.registry.collect())
        return {
            ",".join([sample.name, *sample.labels.values()]): sample.value
            for family in families
            for sample in family.samples
        }


Start = Callable[[], Api]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts the next run."""
    numbers = iter(range(9))
    return lambda: Api(tmp_path / "metrics.json", tmp_path / f"run-{next(numbers)}", monkeypatch)


def test_counts_go_on_where_the_last_scrape_left_them(start: Start) -> None:
    for run in range(1, 4):
        api = start()
        api.requests.labels("a").inc(2)
        api.seconds.observe(1.5)
        api.loaded.set(7)
        found = api.scrape()
        assert found["flawsmith_asked_total,a"] == 2 * run
        assert found["flawsmith_asked_seconds_bucket,1.0"] == 0
        assert found["flawsmith_asked_seconds_bucket,2.0"] == found["flawsmith_asked_seconds_count"] == run
        assert found["flawsmith_asked_seconds_sum"] == 1.5 * run
        assert found["flawsmith_now"] == 7  # a gauge is not a count
        assert api.scrape() == found


def test_what_this_run_has_not_counted_yet_is_shown_all_the_same(start: Start) -> None:
    api = start()
    api.requests.labels("a").inc()
    api.scrape()
    api = start()
    api.requests.labels("b").inc()
    assert {name: value for name, value in api.scrape().items() if "asked_total" in name} == {
        "flawsmith_asked_total,a": 1,
        "flawsmith_asked_total,b": 1,
    }


def test_a_process_that_joins_later_carries_on_the_same_counts(start: Start, tmp_path: Path) -> None:
    start().scrape()
    api = start()
    api.requests.labels("a").inc(5)
    api.scrape()
    joined = CarriedCounts(tmp_path / "run-1" / "carried.json", tmp_path / "metrics.json")
    with joined.saving():
        [asked] = [each for each in joined.added(api.registry.collect()) if each.name == "flawsmith_asked"]
    assert [sample.value for sample in asked.samples] == [5]


def test_a_process_that_hangs_in_its_scrape_holds_up_no_other(
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(carried_counts, "LONGEST_WAIT", 0.05)
    api = start()
    api.requests.labels("a").inc()
    with (tmp_path / "metrics.lock").open("w") as hanging:
        fcntl.flock(hanging, fcntl.LOCK_EX)
        assert api.scrape()["flawsmith_asked_total,a"] == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"release": "0.0.1", "counts": [["flawsmith_asked", 1]]}'])
def test_counts_that_cannot_be_read_begin_at_zero(start: Start, tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    api = start()
    api.requests.labels("a").inc()
    assert api.scrape()["flawsmith_asked_total,a"] == 1
    assert start().scrape()["flawsmith_asked_total,a"] == 1


def test_models_that_were_counted_before_keep_their_labels(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    api = start()
    for model in ("a", "b"):
        api.requests.labels(model).inc()
    api.scrape()
    label = BoundedLabel(2)
    monkeypatch.setattr(carried_counts, "model_label", label)
    start()
    assert [label(each) for each in ("c", "b", "a")] == ["other", "b", "a"]
