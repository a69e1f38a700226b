"""A job on several devices gives back those that other jobs need, and goes on where it was."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.worker.devices.test_spread_trainer import CPU, DCGAN, assert_same, parts, weights
from tests.worker.runs import run_of

from flawsmith.core.domain.job_kinds.training import DeviceUse
from flawsmith.worker.devices import spread
from flawsmith.worker.devices.device_locks import DeviceLocks
from flawsmith.worker.devices.rank_group import RankLost
from flawsmith.worker.devices.spread import Spread
from flawsmith.worker.devices.spread_trainer import SpreadTrainer
from flawsmith.worker.training_run import Run

PARTS = parts("dcgan", DCGAN)


def run_on(devices: int) -> Run:
    run = run_of(PARTS.build(CPU))
    return replace(run, job=run.job.changed(devices=devices), parts=PARTS)


def spread_steps(run: Run, locks: DeviceLocks, folder: Path) -> Spread:
    return Spread(run, PARTS, locks, nullcontext(folder), [])


def test_a_device_whose_owner_gets_a_job_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "LOOK_SECONDS", 0.0)
    run, alone = run_on(devices=3), PARTS.build(CPU)
    here, other = (DeviceLocks(tmp_path / "locks", "host", names) for names in (["cpu:0", "cpu:1"], ["cpu:1", "cpu:0"]))
    with here.busy(), spread_steps(run, here, tmp_path) as spreading:
        assert isinstance(run.trainer, SpreadTrainer)
        assert spreading.use == DeviceUse(asked=3, used=2, reason="its worker has 2")
        for _ in range(3):
            spreading.keep_to_free_devices()
            run.advance()
        with other.busy():
            spreading.keep_to_free_devices()
            assert not isinstance(run.trainer, SpreadTrainer)
            assert spreading.use == DeviceUse(asked=3, used=1, reason="others train other jobs, which come first")
            run.advance()
    assert run.step == 4
    for step in range(4):
        alone.step(step / run.total_steps)
    assert_same(weights(run.trainer), weights(alone))


def test_a_worker_with_one_device_trains_on_it_and_says_so(tmp_path: Path) -> None:
    run = run_on(devices=2)
    trainer: Any = run.trainer
    with spread_steps(run, DeviceLocks(tmp_path, "host", ["cuda:0"]), tmp_path) as spreading:
        assert run.trainer is trainer
        assert spreading.use == DeviceUse(asked=2, used=1, reason="its worker has 1")


def test_devices_are_free_again_where_no_process_can_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RankLost("no")

    monkeypatch.setattr(spread, "RankGroup", fail)
    locks = DeviceLocks(tmp_path, "host", ["cpu:0", "cpu:1"])
    run = run_on(devices=2)
    trainer: Any = run.trainer
    with pytest.raises(RankLost), spread_steps(run, locks, tmp_path):
        pass
    assert (locks.borrowed, run.trainer) == ([], trainer)
