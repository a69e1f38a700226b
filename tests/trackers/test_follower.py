"""What goes to trackers, and what happens where they, or the process that sends, fail. No job waits for any of it."""

import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tests.conftest import photograph

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.remarks import RemarksChange
from flawsmith.core.domain.webhook_targets import JobWebhook
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.version_report import report_file
from flawsmith.trackers import follower as following
from flawsmith.trackers import process
from flawsmith.trackers.event_files import EventFiles
from flawsmith.trackers.facts import Facts, history_point
from flawsmith.trackers.follower import Follower
from flawsmith.trackers.sent_runs import SentRuns
from flawsmith.trackers.tracker import Point, RunLost, Tracker

REPORT = {
    "version": "steel@1",
    "created_at": "2026-11-26T08:00:00Z",
    "verdict": {"state": "good", "sentence": "Fine."},
    "leading": "combined",
    "measures": [
        *(
            {"name": "distance", "type": kind, "value": value, "photographs": 0.0, "controls": {}, "interval": None}
            | {"better": "lower", "n": 10}
            for kind, value in (("Öl", 0.5), (None, 0.25))
        )
    ],
    "copies": {"memorization_rate": None, "authenticity": 0.75, "worst": []},
    "coverage": {},
    "two_sample": None,
}


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


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Services:
    return Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing rests after a failure, and ended jobs are looked at each time."""
    monkeypatch.setattr(following, "FIRST_REST", 0.0)
    monkeypatch.setattr(following, "SECONDS_FOR_ONE", 0.0)


def follow(services: Services, tracker: Tracker) -> Follower:
    """A new process that follows."""
    return Follower(tracker, SentRuns(services.store, tracker.name), services)


def submit(services: Services, **fields: Any) -> str:
    config = {"resolution": 32, "classes": ["Öl"], "overrides": None}
    given = {"model": "steel", "dataset": "ds-1", "preset": "dcgan", **fields}
    return services.jobs.create(KIND.new_job(config=config, progress=TrainingProgress(total_steps=9), **given)).id


def run(services: Services, job: str, steps: range, end: JobState | None = None, **fields: Any) -> None:
    """A worker runs a job: it records steps, writes a sample grid at the last one, and ends it if it shall end."""
    with services.jobs.lease(job) as lease:
        assert lease is not None
        services.jobs.begin(lease, "train-1")
        services.history.record(job, [{"step": each, "loss": each / 10} for each in steps])
        services.store.write_bytes(JobFolder(services.store, job).sample(steps[-1]), photograph(steps[-1]))
        if end:
            services.jobs.finish(lease, end, "it ended", **fields)


def publish(services: Services, job: str) -> Path:
    """The job's version; the value is where its report belongs."""
    with services.store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(b"weights")
        fields = {"classes": ["Öl"], "resolution": 32, "mode": "L", "preset": "dcgan", "config": {}, "step": 6}
        version = services.registry.publish(
            "steel", staged, **fields, training_job=job, dataset_digest="d", weights_sha256="w"
        )
    return report_file(services.registry.folder(version))


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


REPORT_VALUES = {"report/distance Ol": 0.5, "report/distance": 0.25, "report/authenticity": 0.75}


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
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
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
    services.jobs.cancel(never := submit(services))
    follower.look()
    assert tracker.of(never) == [], "it never began"


class Killed(BaseException):
    """The process ends here."""


def events(folder: Path) -> list[Any]:
    """What TensorBoard reads of the only event file below a folder."""
    [file] = folder.rglob("events.*")
    return list(EventFileLoader(str(file)).Load())


def told(folder: Path) -> Iterator[tuple[str, int, float | None]]:
    for event in events(folder):
        for value in event.summary.value:
            number = value.tensor.float_val[0] if value.tensor.float_val else None
            yield value.tag, event.step, number if number is None else round(number, 3)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_killed_at_any_moment_writes_nothing_twice(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The first process is killed at its first note of what it sent, before or after the note is there, the second one
    at its second note, and so on."""
    put, left = SentRuns.put, [0]

    def killed(self: SentRuns, *args: Any) -> None:
        left[0] -= 1
        if when == "after":
            put(self, *args)
        if left[0] == 0:
            raise Killed
        if when == "before":
            put(self, *args)

    def look(tracker: Tracker) -> None:
        """Processes, one after the other, until one comes to its end."""
        for number in range(1, 50):
            left[0] = number
            try:
                return follow(services, tracker).look()
            except Killed:
                continue
        raise AssertionError("no process gets on")

    tracker = EventFiles(tmp_path / "events")
    follow(services, tracker).look()
    monkeypatch.setattr(SentRuns, "put", killed)
    job = submit(services, note="a note", tags=["line-3"], noted_at=services.jobs.get(submit(services)).created_at)
    run(services, job, range(1, 4))
    look(tracker)
    run(services, job, range(4, 7), JobState.SUCCEEDED, produced="steel@1")
    services.store.write_json(publish(services, job), REPORT)
    look(tracker)
    found = list(told(tracker.folder))
    assert [each for each in found if each[0] == "curves/loss"] == [("curves/loss", n, n / 10) for n in range(1, 7)]
    assert [each[:2] for each in found if each[0] == "samples"] == [("samples", 3), ("samples", 6)]
    assert [each for each in found if each[0].startswith("report")] == [
        (name, 6, value) for name, value in REPORT_VALUES.items()
    ]
    assert [each[0] for each in found].count("job/text_summary") == 1


def test_an_event_file_says_nothing_of_this_machine_and_of_receivers(services: Services, tmp_path: Path) -> None:
    tracker = EventFiles(tmp_path / "events")
    follower = follow(services, tracker)
    follower.look()
    job = submit(services, webhook=JobWebhook(url="https://hooks.example.com/?token=sesame"))
    run(services, job, range(1, 3), JobState.FAILED, error="the disk is full; free some space")
    follower.look()
    [file] = tracker.folder.rglob("events.*")
    assert file.relative_to(tracker.folder).parts[:2] == ("steel", job)
    content = file.read_bytes()
    assert b"the disk is full" in content
    for secret in ("sesame", "hooks.example", str(tmp_path), socket.gethostname()):
        assert secret.encode() not in content, secret
        assert secret not in str(file.relative_to(tracker.folder)), secret


def test_a_deleted_event_file_is_not_made_again(services: Services, tmp_path: Path) -> None:
    tracker = EventFiles(tmp_path / "events")
    follower = follow(services, tracker)
    follower.look()
    job = submit(services)
    run(services, job, range(1, 3))
    follower.look()
    [file] = tracker.folder.rglob("events.*")
    file.unlink()
    run(services, job, range(3, 5), JobState.SUCCEEDED)
    follower.look()
    assert not list(tracker.folder.rglob("events.*"))


def test_half_a_record_is_cut_off(services: Services, tmp_path: Path) -> None:
    tracker = EventFiles(tmp_path / "events")
    follower = follow(services, tracker)
    follower.look()
    job = submit(services)
    run(services, job, range(1, 3))
    follower.look()
    [file] = tracker.folder.rglob("events.*")
    with file.open("ab") as appended:
        appended.write(b"\x10\0\0")
    run(services, job, range(3, 5), JobState.SUCCEEDED)
    follow(services, tracker).look()
    assert [step for tag, step, _ in told(tracker.folder) if tag == "curves/loss"] == [1, 2, 3, 4]


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


def test_without_its_package_a_tracker_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(mlflow_tracking_uri="http://localhost:5000", tensorboard_dir=tmp_path)
    assert process.missing_extras(settings) == []
    there: Callable[[str], Any] = lambda name: None if name == "mlflow" else name  # noqa: E731
    monkeypatch.setattr(process, "find_spec", there)
    assert process.missing_extras(settings) == ["mlflow"]
    assert process.missing_extras(Settings()) == []
