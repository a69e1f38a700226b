"""How long a sampling worker leaves a version alone that it fails to sample."""

import pytest

from flawsmith.worker import failing_versions
from flawsmith.worker.failing_versions import FailingVersions


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 100.0
        monkeypatch.setattr(failing_versions.time, "monotonic", lambda: self.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_pause_doubles_with_each_failure_after_it_up_to_ten_minutes(clock: Clock) -> None:
    failing, pauses = FailingVersions(), []
    for _ in range(8):
        pauses.append(failing.record("m@1"))
        clock.seconds += pauses[-1]
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600]
    assert failing.record("m@2") == 10
    assert failing.forget("m@1")
    assert not failing.forget("m@1")
    assert failing.record("m@1") == 10


def test_failures_at_the_same_time_count_once(clock: Clock) -> None:
    failing = FailingVersions()
    assert [failing.record("m@1") for _ in range(3)] == [10, 10, 10]
    clock.seconds += 4
    assert failing.record("m@1") == 6
    clock.seconds += 6
    assert failing.record("m@1") == 20


def test_a_version_is_left_alone_for_that_time(clock: Clock) -> None:
    failing = FailingVersions()
    failing.record("m@1")
    assert failing.paused == ["m@1"]
    clock.seconds += 10
    assert failing.paused == []
