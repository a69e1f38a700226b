"""Spreads the steps of a segment over several devices, as many as no other job needs."""

import logging
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Self

from flawsmith.core.domain.job_kinds.training import DeviceUse
from flawsmith.models.training.trainer import Trainer
from flawsmith.worker.devices.device_locks import DeviceLocks
from flawsmith.worker.devices.rank_group import RankGroup
from flawsmith.worker.devices.spread_trainer import SpreadTrainer
from flawsmith.worker.devices.trainer_parts import TrainerParts
from flawsmith.worker.training_run import Run

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks whether a borrowed device is wanted back


class Spread:
    """Has a run's steps made on several devices during a block; `run.trainer` is then a `SpreadTrainer`.

    Where the block ends with an error, steps since the last checkpoint may be lost.

    Args:
        run: of a job with ``devices`` above 1.
        parts: that its trainer was built of.
        locks: of this worker.
        staged: makes an empty folder, and removes it.
        preset_packages: see `Settings.extra_preset_packages`.
        memory_share: see `RankGroup`.
    """

    def __init__(
        self,
        run: Run,
        parts: TrainerParts,
        locks: DeviceLocks,
        staged: AbstractContextManager[Path],
        preset_packages: list[str],
        memory_share: float = 1.0,
    ) -> None:
        self._run, self._parts, self._locks = run, parts, locks
        self._staged, self._preset_packages, self._memory_share = staged, preset_packages, memory_share
        self._asked = run.job.devices
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._group: RankGroup | None = None
        self._looked = 0.0

    @property
    def use(self) -> DeviceUse:
        """What is said of it in the job's record."""
        used, has = 1 + len(self._locks.borrowed), len(self._locks.devices)
        reason = None
        if used < self._asked:
            reason = f"its worker has {has}" if used == has else "others train other jobs, which come first"
        return DeviceUse(asked=self._asked, used=used, reason=reason)

    def __enter__(self) -> Self:
        """Starts a process for each device that is free. Raises RankLost."""
        try:
            self._folder = self._stack.enter_context(self._staged)
            self._locks.borrow(self._asked - 1)
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _traceback: object) -> None:
        """Raises RankLost."""
        try:
            if kind is None:
                self._stop()
        finally:
            self._end()

    def keep_to_free_devices(self) -> None:
        """Goes on with fewer devices where others need theirs for jobs of their own. Raises RankLost."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if wanted := self._locks.wanted_back():
            log.info("job %s: %s is needed for another job", self._run.job.id, ", ".join(wanted))
            self._stop()
            self._locks.give_back()
            self._locks.borrow(self._asked - 1)
            self._start()

    def _end(self) -> None:
        trainer = self._run.trainer
        if isinstance(trainer, SpreadTrainer) and not trainer.ahead:  # else the run is not at its checkpoint
            self._run.trainer = trainer.alone
        if self._group:
            self._group.close(orderly=False)
            self._group = None
        self._locks.give_back()
        self._stack.close()

    def _start(self) -> None:
        devices = [self._locks.own, *self._locks.borrowed]
        if len(devices) == 1:
            return
        assert self._folder is not None
        folder = self._folder / str(time.monotonic_ns())
        folder.mkdir()
        threads, packages = self._run.threads, self._preset_packages
        self._group = RankGroup(self._parts, devices, threads, folder, packages, self._memory_share)
        self._run.trainer = SpreadTrainer(self._run.trainer, self._group)
        log.info("job %s: trains on %s", self._run.job.id, ", ".join(devices))

    def _stop(self) -> None:
        """Ends the ranks, and goes on with the trainer of this process at their state."""
        trainer: Trainer = self._run.trainer
        if isinstance(trainer, SpreadTrainer):
            self._run.trainer = trainer.whole()
        if self._group:
            self._group.close()
            self._group = None
