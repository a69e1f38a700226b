"""`flawsmith serve`: supervises embedded Redis, API and two workers, each in its own process, with one log."""

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from flawsmith.cli.supervised_process import STOP_SECONDS, SupervisedProcess, say
from flawsmith.core.live.connections import UnsafeSocketFolder, connect, redis_url
from flawsmith.core.settings import Settings, get_settings
from flawsmith.trackers.process import missing_extras, wanted_trackers


class CannotServe(Exception):
    """The service cannot start; the message says why and what to do."""


def run_service() -> int:
    """Runs until SIGINT or SIGTERM; returns the exit status."""
    settings = get_settings()
    try:
        with _exclusive(settings.data_dir):
            _check_port(settings)
            redis_url(settings)  # raises UnsafeSocketFolder
            os.environ.setdefault("FLAWSMITH_METRICS_FILE", str(settings.data_dir / "metrics.json"))
            asyncio.run(_serve(settings))
    except (CannotServe, UnsafeSocketFolder) as error:
        say(str(error))
        return 1
    return 0


@contextmanager
def redis_running(settings: Settings) -> Iterator[None]:
    """Runs the embedded server for the block, if the service does not run. Another Redis must be there.

    Raises CannotServe if the embedded server cannot start, or a service starts at this moment.
    """
    if settings.redis_url or _answers(settings):
        yield
        return
    with _exclusive(settings.data_dir):
        # Its log must not get into what a command prints.
        process = subprocess.Popen([sys.executable, "-m", "flawsmith.cli.main", "redis"], stdout=sys.__stderr__)
        try:
            while not _answers(settings):
                if process.poll() is not None:
                    raise CannotServe("the embedded Redis cannot start (its reason is above)")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def _answers(settings: Settings) -> bool:
    try:
        return bool(connect(settings, retries=0).ping())
    except redis.exceptions.RedisError:
        return False


async def _serve(settings: Settings) -> None:
    """Runs all parts until SIGINT or SIGTERM. Raises CannotServe if the service's own Redis ends before it answers."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = [] if settings.redis_url else [SupervisedProcess("redis", ["redis"])]
    others = api, train, sample = (
        SupervisedProcess("api", ["api"], STOP_SECONDS + settings.drain_seconds),
        SupervisedProcess("train", ["worker", "train"]),
        SupervisedProcess("sample", ["worker", "sample"]),
    )
    trackers = _trackers(settings)
    # asyncio keeps only weak references to tasks; this list keeps them alive.
    tasks = [asyncio.create_task(each.keep_alive()) for each in broker]
    waiting = asyncio.create_task(stop.wait())
    starting = {waiting, asyncio.create_task(_redis_answers(settings, *broker))}
    done, _ = await asyncio.wait(starting, return_when="FIRST_COMPLETED")
    if not stop.is_set():
        await asyncio.gather(*done)  # raises CannotServe
        tasks += [asyncio.create_task(each.keep_alive()) for each in (*others, *trackers)]
        say(f"data in {_shown(settings.data_dir)}; API on port {settings.port}; Ctrl-C or SIGTERM stops all of it")
    await waiting
    say("stopping")
    # The API stops first, as its last requests need the sampling worker. The broker stops last, as all others use it.
    for processes in ([api, train, *trackers], [sample], broker):
        await asyncio.gather(*(each.stop() for each in processes))
    say("stopped")


def _trackers(settings: Settings) -> list[SupervisedProcess]:
    """The process that sends jobs to trackers, if the settings name some and a package for one of them is there."""
    wanted, missing = wanted_trackers(settings), missing_extras(settings)
    for each in missing:
        say(f"jobs are not sent to {each}: it needs pip install 'flawsmith[{each}]'")
    return [SupervisedProcess("track", ["track"])] if len(wanted) > len(missing) else []


def _shown(data_dir: Path) -> str:
    """The data folder as the working directory sees it: logs do not tell where that is on the host."""
    return f"./{data_dir.relative_to(Path.cwd())}" if data_dir.is_relative_to(Path.cwd()) else "FLAWSMITH_DATA_DIR"


async def _redis_answers(settings: Settings, own: SupervisedProcess | None = None) -> None:
    """Waits for Redis. Raises CannotServe if the service's ``own`` has ended; another one does not count."""
    client = connect(settings, retries=0)
    while True:
        if own and own.ended:
            raise CannotServe("the embedded Redis cannot start (its reason is above), so the service stops")
        with suppress(redis.exceptions.RedisError):
            server = await asyncio.to_thread(client.info, "server")
            if own is None or (own.process and own.process.pid == server["process_id"]):
                return
            client.close()  # the next connection may reach the own one
        await asyncio.sleep(0.05)


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
