"""How long a sampling worker leaves a version alone that it fails to sample."""

import pytest

from flawsmith.worker import failing_versions
from flawsmith.worker.failing_versions import FailingVersions


def test_the_pause_doubles_with_each_failure_in_a_row_up_to_ten_minutes() -> None:
    failing = FailingVersions()
    assert [failing.record("m@1") for _ in range(8)] == [10, 20, 40, 80, 160, 320, 600, 600]
    assert failing.record("m@2") == 10
    assert failing.forget("m@1")
    assert not failing.forget("m@1")
    assert failing.record("m@1") == 10


def test_a_version_is_paused_for_that_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(failing_versions.time, "monotonic", lambda: now)
    failing = FailingVersions()
    failing.record("m@1")
    assert failing.paused == ["m@1"]
    now = 110.0
    assert failing.paused == []
