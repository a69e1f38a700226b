"""On a device that both use, sampling comes first: while a pass of a sampling worker lasts, training begins no step.

Locked files say so, which the kernel unlocks when a process ends, however it ends. Sampling never waits for training:
at most the step that has begun runs beside its pass. Training waits for a bounded time, so that it goes on, more
slowly, beside a sampling worker that hangs or never rests.
"""

import fcntl
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from prometheus_client import Counter

from flawsmith.worker.devices.device_locks import locked

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks whether a sampling worker has the device at all
POLL_SECONDS = 0.001  # between two looks whether its pass is over
LONGEST_WAIT = 1.0  # seconds; after such a wait, training has its
SHORTEST_TURN = 0.25  # seconds without waiting
ATTEMPTS = 20  # of sampling to say that a pass begins, `POLL_SECONDS` apart

YIELDED = Counter(
    "flawsmith_training_yielded_seconds_total",
    "Time that this worker's jobs waited for sampling on the same device, in seconds",
)


class Flag:
    """A file that any number of processes hold, and of which others ask whether anybody does.

    Where the file cannot be used, nobody holds it: what it says is worth no failed job.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._asked: BinaryIO | None = None
        self._complained = False

    def hold(self) -> BinaryIO | None:
        """Holds the flag until the file is closed, or the process ends."""
        try:
            with ExitStack() as stack:
                file = stack.enter_context(self._open())
                # Who asks has the file locked for microseconds, unless it is stopped within them.
                for _ in range(ATTEMPTS):
                    if locked(file, fcntl.LOCK_SH):
                        stack.pop_all()
                        return file
                    time.sleep(POLL_SECONDS)
        except OSError as error:
            self._complain(error)
        return None

    @property
    def held(self) -> bool:
        """Whether anybody holds it."""
        try:
            self._asked = self._asked or self._open()  # kept: to open it takes ten times as long as to ask
            free = locked(self._asked)
            if free:
                fcntl.flock(self._asked, fcntl.LOCK_UN)
            return not free
        except OSError as error:
            self._asked = None
            self._complain(error)
            return False

    def _open(self) -> BinaryIO:
        try:
            return self._path.open("a+b", buffering=0)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return self._path.open("a+b", buffering=0)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            log.warning("training and sampling cannot see each other on their device: %s", error)
        self._complained = True


class DeviceFlags:
    """What sampling says of a device: that a worker has it, and that a pass is on it now.

    Args:
        folder: that all workers of the machine share.
        device: its `device_key`.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.worker, self.passing = Flag(folder / f"{device}.sampler"), Flag(folder / f"{device}.pass")


class SamplingPasses:
    """A sampling worker's side.

    Args:
        flags: of its device; None: its passes are no concern of others.
    """

    def __init__(self, flags: DeviceFlags | None = None) -> None:
        self._flags = flags
        self._here = flags and flags.worker.hold()  # for as long as this process lives

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around a pass. May be entered by several threads at once."""
        file = self._flags and self._flags.passing.hold()
        try:
            yield
        finally:
            if file:
                file.close()


class TrainingTurns:
    """A training worker's side.

    Args:
        folder: see `DeviceFlags`.
        devices: the keys of those that it computes with now.
    """

    def __init__(self, folder: Path, devices: Callable[[], Iterable[str]]) -> None:
        self._folder, self._devices = folder, devices
        self._flags = dict[str, DeviceFlags]()  # of all devices so far
        self._passing: list[Flag] = []  # of the devices that a sampling worker has as well
        self._looked = self._own_until = -math.inf
        self.waited = 0.0  # seconds in all

    @property
    def shared(self) -> bool:
        """Whether a sampling worker has one of the devices. The answer may be `LOOK_SECONDS` old."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            in_use = [self._flags_of(each) for each in self._devices()]
            self._passing = [each.passing for each in in_use if each.worker.held]
            self._looked = time.monotonic()
        return bool(self._passing)

    def wait(self, stopping: threading.Event) -> None:
        """Waits until no pass is on the devices, for `LONGEST_WAIT` at most, or until the worker stops."""
        if not self.shared or time.monotonic() < self._own_until:
            return
        begun = now = time.monotonic()
        while any(each.held for each in self._passing) and not stopping.wait(POLL_SECONDS):
            now = time.monotonic()
            if now - begun >= LONGEST_WAIT:
                self._own_until = now + SHORTEST_TURN
                break
        YIELDED.inc(now - begun)
        self.waited += now - begun

    def _flags_of(self, device: str) -> DeviceFlags:
        if device not in self._flags:
            self._flags[device] = DeviceFlags(self._folder, device)
        return self._flags[device]
