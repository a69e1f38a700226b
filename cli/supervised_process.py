"""One process of the service, supervised: restarted when it ends, and stopped with the service."""

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime

from flawsmith.core.settings import get_settings

PR_SET_PDEATHSIG = 1  # prctl(2)
STOP_SECONDS = 10.0  # between SIGTERM and SIGKILL, unless a process says otherwise
STABLE_SECONDS = 10.0  # a process that lived this long is restarted without a growing pause
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds before a process that ended is started again


class SupervisedProcess:
    """One process of the service, restarted whenever it ends.

    Args:
        stop_seconds: how long it may take to end after SIGTERM.
    """

    def __init__(self, name: str, arguments: list[str], stop_seconds: float = STOP_SECONDS) -> None:
        self.name, self.arguments, self.stop_seconds = name, arguments, stop_seconds
        self.process: asyncio.subprocess.Process | None = None
        self._pause = FIRST_PAUSE
        self._stopping = False

    @property
    def ended(self) -> bool:
        """Whether it has ended since it was last started."""
        return self.process is not None and self.process.returncode is not None

    async def keep_alive(self) -> None:
        """Runs the process again and again until `stop`."""
        while not self._stopping:
            begun = time.monotonic()
            status = await self._run_once()
            if self._stopping:
                return
            stable = time.monotonic() - begun > STABLE_SECONDS
            self._pause = FIRST_PAUSE if stable else min(2 * self._pause, LONGEST_PAUSE)
            say(f"{self.name} ended ({_describe(status)}); starting it again in {self._pause:g} s")
            await asyncio.sleep(self._pause)

    async def _run_once(self) -> int:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # keeps modules in the working directory from being imported
            "-m",
            "flawsmith.cli.main",
            *self.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=sys.stdout,  # inherited: to copy each line here would cost a core under load
            # Ctrl-C reaches only the supervisor, which stops the processes in order. Not a new session: the kernel
            # shares the cores among sessions first, and `nice` has an effect within one session only.
            process_group=0,
            preexec_fn=_die_with_parent,
        )
        status = await self.process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # children of a killed process still hold its port
        return status

    async def stop(self) -> None:
        """Sends SIGTERM, and SIGKILL after ``stop_seconds``."""
        self._stopping = True
        if self.process is None or self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), self.stop_seconds)
        except TimeoutError:
            say(f"{self.name} did not end within {self.stop_seconds:g} s; killing it")
            self.process.kill()
            await self.process.wait()


def say(text: str) -> None:
    """Prints a line of the supervisor into the log of the service, in the format of the other lines."""
    if get_settings().log_format == "json":
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        print(json.dumps({"timestamp": moment, "level": "info", "part": "serve", "event": text}), flush=True)
    else:
        print(f"{'serve':<7}| {text}", flush=True)


def _die_with_parent() -> None:
    """Runs in the child: asks the kernel to send it SIGTERM when its parent ends, even by SIGKILL. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _describe(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
