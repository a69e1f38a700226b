"""Event files, as TensorBoard reads them, through processes that are killed at any moment."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tests.trackers.jobs import REPORT, REPORT_VALUES, follow, publish, run, submit

from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.webhook_targets import JobWebhook
from flawsmith.core.services import Services
from flawsmith.trackers.event_files import EventFiles
from flawsmith.trackers.sent_runs import SentRuns
from flawsmith.trackers.tracker import Tracker


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
