"""A rank that is killed, hangs or loses its launcher costs an attempt, and leaves no process behind."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import until
from tests.worker.devices.test_spread_trainer import CPU, DCGAN, parts

from flawsmith.worker.devices.rank_group import RankGroup, RankLost
from flawsmith.worker.devices.spread_trainer import SpreadTrainer

HANGS_AFTER = 3.0  # seconds


def ended(pid: int) -> bool:
    """Whether a process is gone, or waits for nothing but its parent's notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def launcher_of(group: RankGroup) -> int:
    return int(Path(f"/proc/{group.pids[0]}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda group: os.kill(group.pids[0], signal.SIGKILL), "was killed"),
        (lambda group: os.kill(group.pids[1], signal.SIGSTOP), "did not all answer within 3 s: rank"),
        (lambda group: os.kill(launcher_of(group), signal.SIGKILL), "was killed"),
    ],
    ids=["the first is killed", "the second hangs", "the launcher is killed"],
)
def test_what_happens_to_one_process_ends_all(harm: Callable[[RankGroup], None], words: str, tmp_path: Path) -> None:
    of = parts("dcgan", DCGAN)
    group = RankGroup(of, ["cpu:0", "cpu:1"], threads=2, folder=tmp_path)
    processes = [launcher_of(group), *group.pids.values()]
    try:
        trainer = SpreadTrainer(of.build(CPU), group)
        trainer.step(0.0)
        for pid in processes:  # a signal to all of them, as of a system that stops: the worker decides
            os.kill(pid, signal.SIGTERM)
        trainer.step(0.0)
        group.answer_seconds = HANGS_AFTER  # the first steps of cold processes may take longer
        harm(group)
        with pytest.raises(RankLost, match=words):
            while True:
                trainer.step(0.0)
    finally:
        group.close(orderly=False)
    until(lambda: all(ended(pid) for pid in processes), 5, "all processes have ended")


def test_what_a_rank_meets_is_said(tmp_path: Path) -> None:
    with pytest.raises(RankLost, match=r"failed: rank \d met TypeError: .*nonsense"):
        RankGroup(parts("dcgan", {**DCGAN, "nonsense": 1}), ["cpu:0", "cpu:1"], threads=2, folder=tmp_path)
