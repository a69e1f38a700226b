"""Measures an honest client's POST /generate beside strangers who try keys.

    python -m benchmarks.wrong_keys [--requests 1000] [--rate 1000] [--rounds 3]

The honest client has a key and asks for one image at a time, 50 times a second, which the image pool bears. Beside it,
in turn: nobody; so many calls a second with keys that the service does not know, from another process that keeps 8
connections open. It prints the p99 of both, how many wrong keys a second were answered with 401, and at the end how
many times the quiet p99 the other is.
"""

import argparse
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.honest_client import answer_seconds
from benchmarks.local_service import LocalService, local_service
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.flawsmith_service import MODEL, wait_until_pool_is_full
from benchmarks.serving.machine import machine

KEY = secrets.token_urlsafe(32)
CONNECTIONS = 8
TICK_SECONDS = 0.04  # between two bursts of wrong keys


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=1000, help="of the honest client, each time")
    options.add_argument("--rate", type=int, default=1000, help="calls with wrong keys a second")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--strangers", metavar="HOST:PORT", help="be them, until standard input ends")
    given = options.parse_args()
    if given.strangers:
        print(try_keys(given.strangers, given.rate))
        return
    print(f"{machine()}; POST /generate from the pool, {given.requests} requests a round\n")
    print("| beside | p50 ms | p99 ms | wrong keys a second |\n|---|---|---|---|", flush=True)
    with TemporaryDirectory() as name, local_service(Path(name) / "service", api_keys=KEY) as service:
        service.client.headers["Authorization"] = f"Bearer {KEY}"
        config = article_config()
        publish(service.data_dir, MODEL, save_weights(Path(name), config), config)
        answer_seconds(service, 200)
        wait_until_pool_is_full(service)
        quiet, beside = [], []
        for _ in range(given.rounds):
            quiet.append(show("nobody", answer_seconds(service, given.requests), 0))
            with strangers(service, given.rate) as refused_a_second:
                times = answer_seconds(service, given.requests)
            beside.append(show(f"{given.rate} wrong keys a second", times, refused_a_second()))
        print(
            f"\np99 beside wrong keys: {median(beside) / median(quiet):.2f} times the quiet one (medians of the rounds)"
        )


@contextmanager
def strangers(service: LocalService, rate: int) -> Iterator[Callable[[], float]]:
    """Tries keys in another process; gives, afterwards, how many a second were 401."""
    url = service.client.base_url
    command = [
        sys.executable,
        "-m",
        "benchmarks.wrong_keys",
        "--strangers",
        f"{url.host}:{url.port}",
        "--rate",
        str(rate),
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    result = ""
    try:
        yield lambda: float(result)
    finally:
        result = process.communicate("")[0].strip()


def try_keys(target: str, rate: int) -> float:
    """Calls with wrong keys at an even rate until standard input ends; returns how many a second were 401.

    Each connection sends its calls of a tick at once and then reads the answers, so that this costs the cores little.
    """
    host, _, port = target.rpartition(":")
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    connections = [socket.create_connection((host, int(port)), timeout=30) for _ in range(CONNECTIONS)]
    each, refused = max(1, round(rate * TICK_SECONDS / CONNECTIONS)), 0
    begun = next_at = time.monotonic()
    while not over.is_set():
        for connection in connections:
            connection.sendall(b"".join(_call(host) for _ in range(each)))
        for connection in connections:
            refused += _read_refusals(connection, each)
        next_at += CONNECTIONS * each / rate
        time.sleep(max(0.0, next_at - time.monotonic()))
    return refused / (time.monotonic() - begun)


def _call(host: str) -> bytes:
    key = secrets.token_urlsafe(32)
    return f"GET /models HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


def _read_refusals(connection: socket.socket, count: int) -> int:
    """Reads so many answers; returns how many are 401."""
    received = b""
    while received.count(b"HTTP/1.1 ") < count or not received.endswith(b"}"):
        if not (more := connection.recv(1 << 16)):
            raise ConnectionError("the service closed a connection")
        received += more
    return received.count(b"HTTP/1.1 401")


def show(beside: str, times: list[float], wrong_keys: float) -> float:
    """Prints a row; returns the p99, in milliseconds."""
    ordered = sorted(1000 * each for each in times)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    print(f"| {beside} | {p50:.2f} | {p99:.2f} | {wrong_keys:.0f} |", flush=True)
    return p99


if __name__ == "__main__":
    main()
