"""What goes to trackers, and what happens where they, or the process that sends, fail. No job waits for any of it."""

import fcntl
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import until
from tests.trackers.jobs import REPORT, REPORT_VALUES, follow, publish, run, submit

from flawsmith.core.domain.job_kinds.training import KIND
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.remarks import RemarksChange
from flawsmith.core.live import keys
from flawsmith.core.services import Services
from flawsmith.core.setting_values import without_credentials
from flawsmith.core.settings import Settings
from flawsmith.trackers import follower as following
from flawsmith.trackers import process
from flawsmith.trackers.facts import Facts, history_point
from flawsmith.trackers.sent_runs import SentRuns
from flawsmith.trackers.tracker import Point, RunLost, Tracker
from flawsmith.trackers.turn import LEASE_SECONDS, Turn


class Recording(Tracker):
    """Keeps what it gets; ``failing`` are jobs, or parts of a call, that it cannot take."""

    name = "the recorder"

    def __init__(self) -> None:
        self.got: list[tuple[Any, ...]] = []
        self.failing: set[str] = set()
        self.lost: set[str] = set()

    def begin(self, facts: Facts) -> str:
        return self._take("begin", facts.job.id, facts.title)

    def describe(self, run: str, facts: Facts) -> None:
        self._take("describe", run, facts.state)

    def note(self, run: str, facts: Facts) -> None:
        self._take("note", run, facts.job.note)

    def points(self, run: str, points: Sequence[Point], at: float) -> None:
        self._take("points", run, [step for step, _ in points])

    def grid(self, run: str, step: int, picture: Path, at: float, *, again: bool) -> None:
        assert picture.exists()
        self._take("grid", run, step)

    def report(self, run: str, files: Sequence[Path], values: Point, at: float) -> None:
        self._take("report", run, dict(values[1]))

    def of(self, run: str) -> list[tuple[Any, ...]]:
        return [(call, what) for call, job, what in self.got if job == run]

    def _take(self, call: str, run: str, what: Any) -> str:
        if run in self.lost:
            raise RunLost("somebody deleted it")
        if {run, call} & self.failing:
            raise ConnectionError("it is away")
        self.got.append((call, run, what))
        return run


def test_a_job_is_followed_from_its_first_step_to_its_report(services: Services) -> None:
    tracker = Recording()
    follower = follow(services, tracker)
    follower.look()
    job = submit(services)
    follower.look()
    assert tracker.got == [], "it waits for a worker"
    run(services, job, range(1, 4))
    follower.look()
    first = [("begin", f"steel {job}"), ("points", [1, 2, 3]), ("describe", "running"), ("grid", 3)]
    assert tracker.of(job) == first
    run(services, job, range(4, 7), JobState.SUCCEEDED, produced="steel@1")
    services.history.record(job, [{"step": 6, "loss": 0.6, "distance": 0.1}])  # the last step is evaluated at the end
    follower.look()
    ended = [("points", [4, 5, 6]), ("describe", "succeeded"), ("grid", 6)]
    assert tracker.of(job) == [*first, *ended]
    services.jobs.remark(job, KIND, RemarksChange(note="the best so far").of)
    services.store.write_json(publish(services, job), REPORT)
    follower.look()
    late = [("note", "the best so far"), ("report", REPORT_VALUES)]
    assert tracker.of(job) == [*first, *ended, *late]
    follower.look()
    follow(services, tracker).look()
    assert tracker.of(job) == [*first, *ended, *late], "nothing is sent twice"


def test_signals_that_come_to_a_step_that_was_sent_are_sent_alone() -> None:
    assert history_point({"step": 6, "loss": 0.6, "distance": 0.1}, ["loss"]) == (6, {"curves/distance": 0.1})
    strange = {"step": 1, "a/ü": 1.0, "a/u": 2.0, "nan": float("nan")}
    assert history_point(strange) == (1, {"curves/a_u": 1.0, "curves/a_u-2": 2.0})


def test_a_resumed_job_goes_on_in_its_run(services: Services) -> None:
    tracker = Recording()
    follower = follow(services, tracker)
    follower.look()
    job = submit(services)
    run(services, job, range(1, 4), JobState.FAILED)
    follower.look()
    services.jobs.resume(job)
    services.history.record(job, [], replace=True)
    run(services, job, range(1, 6), JobState.SUCCEEDED)  # from its checkpoint before: three steps again
    follower.look()
    calls = tracker.of(job)
    assert [what for call, what in calls if call == "describe"] == ["failed", "succeeded"]
    assert [what for call, what in calls if call == "points"] == [[1, 2, 3], [4, 5]]
    assert [call for call, _ in calls].count("begin") == 1


def test_an_outage_is_made_up_for_and_costs_one_try_a_look(
    services: Services, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SECONDS_FOR_ONE", 1e9)  # a job that counts as sent is not looked at again
    tracker = Recording()
    follower = follow(services, tracker)
    follower.look()
    jobs = [submit(services) for _ in range(3)]
    for job in jobs:
        run(services, job, range(1, 3), JobState.SUCCEEDED)
    tracker.failing = set(jobs)
    for _ in range(5):
        follower.look()
    assert tracker.got == []
    assert [each.message for each in caplog.records if "the recorder" in each.message] == [
        "cannot send curves to the recorder: it is away"
    ]
    tracker.failing = set()
    follower.look()
    for job in jobs:
        assert [call for call, _ in tracker.of(job)] == ["begin", "points", "describe", "grid"]


def test_one_job_that_cannot_be_sent_holds_up_no_other(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FIRST_REST", 60.0)
    tracker = Recording()
    follower = follow(services, tracker)
    follower.look()
    bad, good = submit(services), submit(services)
    for job in (bad, good):
        run(services, job, range(1, 3), JobState.SUCCEEDED)
    tracker.failing = {bad}
    for _ in range(2):
        follower.look()
    assert ("points", [1, 2]) in tracker.of(good)


def test_where_files_cannot_be_sent_curves_are(services: Services) -> None:
    tracker = Recording()
    follower = follow(services, tracker)
    follower.look()
    jobs = [submit(services) for _ in range(2)]
    tracker.failing = {"grid"}
    for job in jobs:
        run(services, job, range(1, 3), JobState.SUCCEEDED)
    follower.look()
    assert [[call for call, _ in tracker.of(job)] for job in jobs] == [["begin", "points", "describe"]] * 2
    tracker.failing = set()
    follower.look()
    assert [tracker.of(job)[-1] for job in jobs] == [("grid", 2)] * 2


def test_a_run_that_somebody_deleted_stays_deleted(services: Services) -> None:
    tracker = Recording()
    follower = follow(services, tracker)
    follower.look()
    job = submit(services)
    run(services, job, range(1, 3))
    follower.look()
    tracker.lost = {job}
    run(services, job, range(3, 5))
    follower.look()
    tracker.lost = set()
    run(services, job, range(5, 7), JobState.SUCCEEDED)
    before = list(tracker.got)
    follower.look()
    follow(services, tracker).look()
    assert tracker.got == before


def test_a_job_that_ends_while_the_packages_of_the_trackers_are_imported_is_sent(services: Services) -> None:
    site = Services(services.settings.model_copy(update={"tensorboard_dir": services.settings.data_dir / "events"}))
    before, meanwhile = submit(site), list[str]()
    run(site, before, range(1, 3), JobState.SUCCEEDED)
    tracker = Recording()

    def imported(_: Settings) -> Tracker:
        meanwhile.append(submit(site))
        run(site, meanwhile[0], range(1, 3), JobState.SUCCEEDED)
        return tracker

    [follower] = process.followers(site, {"tensorboard": imported})
    follower.look()
    assert {job for _, job, _ in tracker.got} == set(meanwhile)


def test_jobs_from_before_the_tracker_are_not_sent_and_deleted_ones_are_forgotten(services: Services) -> None:
    old, running = submit(services), submit(services)
    run(services, old, range(1, 3), JobState.SUCCEEDED)
    run(services, running, range(1, 3))
    tracker = Recording()
    follower = follow(services, tracker)
    follower.look()
    assert {job for _, job, _ in tracker.got} == {running}
    run(services, running, range(3, 5), JobState.CANCELLED)
    follower.look()
    assert tracker.of(running)[-3:] == [("points", [3, 4]), ("describe", "cancelled"), ("grid", 4)]
    services.jobs.delete(running)
    follower.look()
    assert SentRuns(services.store, tracker.name).ids() == set()
    gone = submit(services)
    run(services, gone, range(1, 3), JobState.SUCCEEDED)
    follower.look()
    services.jobs.delete(gone)
    follow(services, tracker).look()
    assert SentRuns(services.store, tracker.name).ids() == set(), "it was deleted while nobody followed"
    services.jobs.cancel(never := submit(services))
    follower.look()
    assert tracker.of(never) == [], "it never began"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("http://localhost:5000", True),
        ("https://reader:se%40same@mlflow.example.com/tracking/", True),
        ("mlflow.example.com", False),
        ("sqlite:///runs.db", False),
        ("http://a b", False),
        ("http://host/?token=sesame", False),
    ],
)
def test_the_address_of_a_server(text: str, right: bool) -> None:
    if right:
        assert Settings(mlflow_tracking_uri=text).mlflow_tracking_uri == text
        assert "sesame" not in repr(Settings(mlflow_tracking_uri=text))
        return
    with pytest.raises(ValueError, match="https://HOST") as refused:
        Settings(mlflow_tracking_uri=text)
    assert "sesame" not in str(refused.value)


def test_of_two_processes_one_sends_and_the_other_stands_by(
    services: Services, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.01)
    tracker, stop = Recording(), threading.Event()
    folder = SentRuns(services.store, tracker.name).lock_folder
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(services, submit(services), range(1, 3))
        standing_by = threading.Thread(target=follow(services, tracker).run, args=[stop])
        standing_by.start()
        until(lambda: "another process sends" in caplog.text, 20, "it stands by")
        assert tracker.got == []
    until(lambda: tracker.got, 20, "it sends once the other process has ended")
    stop.set()
    standing_by.join()


def test_of_two_machines_without_a_common_disk_one_sends_until_it_stops_or_is_silent(
    services: Services, tmp_path: Path
) -> None:
    def machine(name: str) -> Turn:
        return Turn("mlflow-1", tmp_path / name, name, services.redis)

    first, second = machine("first"), machine("second")
    assert first.come() and not second.come() and first.come() and first.is_kept()
    assert not machine("first").come(), "another process of the first machine stands by"
    first.leave()
    assert second.come() and not first.come() and not first.is_kept()
    first.leave()
    assert not first.come(), "it cannot give away what it has not got"
    assert 0 < services.redis.ttl(keys.tracker_lease("mlflow-1")) <= LEASE_SECONDS
    services.redis.delete(keys.tracker_lease("mlflow-1"))  # the second machine is silent for so long
    assert first.come() and not second.come()


def test_a_machine_that_stops_lets_another_one_go_on(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.01)
    tracker, stop = Recording(), threading.Event()
    run(services, submit(services), range(1, 3))
    sender = threading.Thread(target=follow(services, tracker).run, args=[stop])
    sender.start()
    until(lambda: tracker.got, 20, "it sends")
    assert services.redis.exists(keys.tracker_lease(tracker.name))
    stop.set()
    sender.join()
    assert not services.redis.exists(keys.tracker_lease(tracker.name))


def test_another_password_is_no_other_place() -> None:
    first, second = (
        process.wanted_trackers(Settings(mlflow_tracking_uri=f"https://{each}@mlflow.example.com/a/"))
        for each in ("reader:one", "writer:t%40o")
    )
    assert first == second == {"mlflow": "https://mlflow.example.com/a\nflawsmith"}
    assert without_credentials("https://writer:t%40o@[::1]:5000/") == ("https://[::1]:5000", "writer", "t@o")


def test_without_its_package_a_tracker_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(mlflow_tracking_uri="http://localhost:5000", tensorboard_dir=tmp_path)
    assert process.missing_extras(settings) == []
    there: Callable[[str], Any] = lambda name: None if name == "mlflow" else name  # noqa: E731
    monkeypatch.setattr(process, "find_spec", there)
    assert process.missing_extras(settings) == ["mlflow"]
    assert process.missing_extras(Settings()) == []
