"""Which of a machine's devices its training workers use.

A worker has a device of its own and may borrow those of others that have no job. Locked files say so, which the kernel
unlocks when a process ends, however it ends. The owner never waits: whoever has borrowed its device gives it back.
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class DeviceLocks:
    """One worker's side.

    Args:
        folder: of the locked files, which all training workers of the machine share.
        machine: its name: the folder may be shared with others.
        devices: that this worker can compute with, the own one first.
    """

    def __init__(self, folder: Path, machine: str, devices: Sequence[str]) -> None:
        self.own, *self._others = devices
        self._folder, self._machine = folder, machine
        self._borrowed: dict[str, BinaryIO] = {}

    @property
    def devices(self) -> list[str]:
        """All that this worker can compute with."""
        return [self.own, *self._others]

    @property
    def borrowed(self) -> list[str]:
        """The devices of others that this worker has now."""
        return list(self._borrowed)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Uses the own device during the block. Without other devices, nothing is locked."""
        if not self._others:
            yield
            return
        with self._open(self.own, "own") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # workers may have the same device of their own
            yield

    def borrow(self, most: int) -> None:
        """Borrows up to so many devices whose owners have no job, and that nobody else has borrowed."""
        for name in self._others:
            if len(self._borrowed) >= most:
                return
            if name in self._borrowed:
                continue
            file = self._open(name, "lent")
            if locked(file) and not self._is_busy(name):
                self._borrowed[name] = file
            else:
                file.close()

    def give_back(self) -> None:
        """Gives back all devices."""
        while self._borrowed:
            self._borrowed.popitem()[1].close()

    def wanted_back(self) -> list[str]:
        """Borrowed devices whose owners have a job now."""
        return [name for name in self._borrowed if self._is_busy(name)]

    def _is_busy(self, name: str) -> bool:
        with self._open(name, "own") as file:
            return not locked(file)

    def _open(self, name: str, which: str) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        return (self._folder / f"{self._machine}-{name.replace(':', '-')}.{which}").open("a+b")


def locked(file: BinaryIO, how: int = fcntl.LOCK_EX) -> bool:
    """Locks a file, unless another one's lock is in the way."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
