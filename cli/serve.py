"""`flawsmith serve`: supervises embedded Redis, API and two workers, each in its own process, with one log."""

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from flawsmith.core.live.connections import connect
from flawsmith.core.settings import Settings, get_settings

PR_SET_PDEATHSIG = 1  # prctl(2)
STOP_SECONDS = 10.0  # between SIGTERM and SIGKILL
STABLE_SECONDS = 10.0  # a process that lived this long is restarted without a growing pause
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds before a process that ended is started again


class CannotServe(Exception):
    """The service cannot start; the message says why and what to do."""


class SupervisedProcess:
    """One process of the service, restarted whenever it ends."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name, self.arguments = name, arguments
        self.process: asyncio.subprocess.Process | None = None
        self._pause = FIRST_PAUSE
        self._stopping = False

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
        """Sends SIGTERM, and SIGKILL after `STOP_SECONDS`."""
        self._stopping = True
        if self.process is None or self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            say(f"{self.name} did not end within {STOP_SECONDS:g} s; killing it")
            self.process.kill()
            await self.process.wait()


def run_service() -> int:
    """Runs until SIGINT or SIGTERM; returns the exit status."""
    settings = get_settings()
    try:
        with _exclusive(settings.data_dir):
            _check_port(settings)
            asyncio.run(_serve(settings))
    except CannotServe as error:
        say(str(error))
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = [] if settings.redis_url else [SupervisedProcess("redis", ["redis"])]
    others = api, train, sample = (
        SupervisedProcess("api", ["api"]),
        SupervisedProcess("train", ["worker", "train"]),
        SupervisedProcess("sample", ["worker", "sample"]),
    )
    # asyncio keeps only weak references to tasks; this list keeps them alive.
    tasks = [asyncio.create_task(each.keep_alive()) for each in broker]
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({waiting, asyncio.create_task(_redis_answers(settings))}, return_when="FIRST_COMPLETED")
    if not stop.is_set():
        tasks += [asyncio.create_task(each.keep_alive()) for each in others]
        say(f"data in {settings.data_dir}; API on port {settings.port}; Ctrl-C or SIGTERM stops all of it")
    await waiting
    say("stopping")
    # The API stops first, as its last requests need the sampling worker. The broker stops last, as all others use it.
    for processes in ([api, train], [sample], broker):
        await asyncio.gather(*(each.stop() for each in processes))
    say("stopped")


async def _redis_answers(settings: Settings) -> None:
    client = connect(settings, retries=0)
    while True:
        with suppress(redis.exceptions.RedisError):
            if await asyncio.to_thread(client.ping):
                return
        await asyncio.sleep(0.05)


def say(text: str) -> None:
    print(f"{'serve':<7}| {text}", flush=True)


@contextmanager
def _exclusive(data_dir: Path) -> Iterator[None]:
    """Locks the data folder against a second service. Raises CannotServe."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "serve.lock").open("w")
    except OSError as error:
        raise CannotServe(f"cannot write into {data_dir} ({error.strerror}); set FLAWSMITH_DATA_DIR") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotServe(f"another service runs in {data_dir}; set FLAWSMITH_DATA_DIR to another folder") from None
        yield


def _check_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
        except OSError as error:
            raise CannotServe(f"port {settings.port}: {error.strerror}; set FLAWSMITH_PORT to another") from error


def _die_with_parent() -> None:
    """Runs in the child: asks the kernel to send it SIGTERM when its parent ends, even by SIGKILL. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _describe(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
