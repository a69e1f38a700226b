"""Workers lend one another the devices that they do not use, and jobs of their own come first."""

from pathlib import Path

import pytest

from flawsmith.worker.devices.device_locks import DeviceLocks


@pytest.fixture
def workers(tmp_path: Path) -> list[DeviceLocks]:
    """Three workers of one machine, each with a device of its own."""
    names = ["cuda:0", "cuda:1", "cuda:2"]
    return [DeviceLocks(tmp_path, "host", [own, *(each for each in names if each != own)]) for own in names]


def test_a_job_gets_the_devices_of_workers_without_one(workers: list[DeviceLocks]) -> None:
    first, second, _ = workers
    with first.busy(), second.busy():
        first.borrow(2)
        assert first.borrowed == ["cuda:2"]
        second.borrow(2)
        assert second.borrowed == []  # it is lent
        first.give_back()
        second.borrow(2)
        assert second.borrowed == ["cuda:2"]
    first.borrow(1)
    assert first.borrowed == ["cuda:1"]


def test_where_as_many_jobs_as_devices_wait_each_has_one(workers: list[DeviceLocks]) -> None:
    first, second, third = workers
    with first.busy():
        first.borrow(2)
        assert (first.borrowed, first.wanted_back()) == (["cuda:1", "cuda:2"], [])
        with second.busy():  # it does not wait
            assert first.wanted_back() == ["cuda:1"]
            with third.busy():
                assert first.wanted_back() == ["cuda:1", "cuda:2"]
                first.give_back()
                for each in workers:
                    each.borrow(2)
                    assert each.borrowed == []
        first.borrow(2)
        assert first.borrowed == ["cuda:1", "cuda:2"]


def test_other_machines_that_share_the_folder_have_devices_of_their_own(tmp_path: Path) -> None:
    here, there = (DeviceLocks(tmp_path, name, ["cuda:0", "cuda:1"]) for name in ("here", "there"))
    for each in (here, there):
        each.borrow(1)
        assert each.borrowed == ["cuda:1"]


def test_a_worker_with_one_device_locks_nothing(tmp_path: Path) -> None:
    with DeviceLocks(tmp_path / "devices", "host", ["cuda:0"]).busy():
        assert not (tmp_path / "devices").exists()
