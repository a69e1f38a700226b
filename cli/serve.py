"""`flawsmith serve`: embedded Redis, API and two workers, each a process of its own, kept alive and in one log."""

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
PATIENCE_SECONDS = 10.0  # between SIGTERM and SIGKILL
STEADY_SECONDS = 10.0  # a part that lived for so long is restarted at once
LONGEST_PAUSE = 5.0  # before a part that keeps dying is started again


class CannotServe(Exception):
    """Something in the way; the message says what, and what to do."""


class Part:
    """One process of the service, restarted whenever it dies."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name, self.arguments = name, arguments
        self.process: asyncio.subprocess.Process | None = None
        self._pause = 0.5
        self._ending = False

    async def keep_alive(self) -> None:
        """Runs the process, and runs it again when it ends, until `stop`."""
        while not self._ending:
            begun = time.monotonic()
            status = await self._run_once()
            if self._ending:
                return
            self._pause = 0.5 if time.monotonic() - begun > STEADY_SECONDS else min(2 * self._pause, LONGEST_PAUSE)
            say(f"{self.name} ended ({_words(status)}); starting it again in {self._pause:g} s")
            await asyncio.sleep(self._pause)

    async def _run_once(self) -> int:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the folder that it was started in may have an app/ of its own
            "-m",
            "flawsmith.cli.main",
            *self.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=sys.stdout,  # straight into the one log: to read and print each line again would cost a core
            # Ctrl-C comes to this process alone, which ends the parts in order. No session of its own: the kernel
            # shares the cores among sessions first, and what is nice within one is not so to another.
            process_group=0,
            preexec_fn=_die_with_parent,
        )
        status = await self.process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # children of a part that was killed: they hold its port
        return status

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL for a process that does not heed it."""
        self._ending = True
        if self.process is None or self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            say(f"{self.name} did not end within {PATIENCE_SECONDS:g} s; killing it")
            self.process.kill()
            await self.process.wait()


def run_service() -> int:
    """Runs until SIGINT or SIGTERM; returns the exit status."""
    settings = get_settings()
    try:
        with _alone(settings.data_dir):
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
    broker = [] if settings.redis_url else [Part("redis", ["redis"])]
    others = api, train, sample = (
        Part("api", ["api"]),
        Part("train", ["worker", "train"]),
        Part("sample", ["worker", "sample"]),
    )
    # asyncio holds tasks weakly: these names keep the parts' own alive.
    tasks = [asyncio.create_task(part.keep_alive()) for part in broker]
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({waiting, asyncio.create_task(_redis_answers(settings))}, return_when="FIRST_COMPLETED")
    if not stop.is_set():
        tasks += [asyncio.create_task(part.keep_alive()) for part in others]
        say(f"data in {settings.data_dir}; API on port {settings.port}; Ctrl-C or SIGTERM stops all of it")
    await waiting
    say("stopping")
    # First the API, whose last requests still need a sampling worker; last the broker that all hand their work back to.
    for parts in ([api, train], [sample], broker):
        await asyncio.gather(*(part.stop() for part in parts))
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
def _alone(data_dir: Path) -> Iterator[None]:
    """Keeps a second service out of the same data folder."""
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
    """In the child: SIGTERM when the service's process is gone, also where it was killed. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _words(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
