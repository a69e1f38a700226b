"""Measures an honest client's POST /generate beside strangers who hold connections open or upload hostile pictures.

    python -m benchmarks.strangers [--requests 1000] [--connections 1000] [--uploads 20]

The client asks for one image at a time, 50 times a second, which the image pool bears. Beside it stand, in turn:
nobody; connections that send nothing, half of their headers, or half of a body; uploads, one after another, of small
files that cost a decoder gigabytes or minutes; nobody again.
"""

import argparse
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2

from benchmarks import hostile_images
from benchmarks.honest_client import answer_seconds
from benchmarks.local_service import LocalService, local_service
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.flawsmith_service import MODEL, wait_until_pool_is_full
from benchmarks.serving.machine import machine

UPLOAD_SECONDS = 120.0
HALF_BODY = (
    b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)
SENT = {"idle connections": b"", "half headers": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: y", "half bodies": HALF_BODY}
HOSTILE: dict[str, Callable[[], bytes]] = {
    "tile.tif": hostile_images.with_huge_tile,
    "scans.jpg": hostile_images.with_many_scans,
    "exif.jpg": lambda: hostile_images.with_many_segments(0xE1, b"Exif\0\0"),
    "profiles.jpg": lambda: hostile_images.with_many_segments(0xE2, b"ICC_PROFILE\0\1\1"),
    "tags.tif": hostile_images.with_many_tags,
    "directories.tif": hostile_images.with_many_directories,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=1000, help="of the honest client, each time")
    options.add_argument("--connections", type=int, default=1000, help="of strangers, at once")
    options.add_argument("--uploads", type=int, default=20, help="hostile ones, one after another")
    given = options.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 2 * given.connections + 1000), most))
    print(f"{machine()}; POST /generate from the pool, {given.requests} requests\n")
    print("| beside | p50 ms | p99 ms | longest ms | memory of the API, MB |\n|---|---|---|---|---|", flush=True)
    with TemporaryDirectory() as name, local_service(Path(name) / "service") as service:
        config = article_config()
        publish(service.data_dir, MODEL, save_weights(Path(name), config), config)
        answer_seconds(service, 200)
        wait_until_pool_is_full(service)
        _print(service, "nobody", answer_seconds(service, given.requests))
        for what, sent in SENT.items():
            with _held_open(service, given.connections, sent):
                _print(service, f"{given.connections} {what}", answer_seconds(service, given.requests))
        with _uploads(service, given.uploads) as going_on:
            times = answer_seconds(service, given.requests)
            while going_on():
                times += answer_seconds(service, 50)
            _print(service, f"{given.uploads} hostile uploads", times)
        _print(service, "nobody again", answer_seconds(service, given.requests))


@contextmanager
def _held_open(service: LocalService, count: int, sent: bytes) -> Iterator[None]:
    """So many connections on which these bytes were sent, and no more."""
    url = service.client.base_url
    held = [socket.create_connection((url.host, url.port or 80)) for _ in range(count)]
    try:
        for each in held:
            each.sendall(sent)
        yield
    finally:
        for each in held:
            each.close()


@contextmanager
def _uploads(service: LocalService, count: int) -> Iterator[Callable[[], bool]]:
    """Uploads hostile pictures one after another in a thread; gives whether it is still at it."""
    pictures = {name: make() for name, make in HOSTILE.items()}

    def upload() -> None:
        with httpx2.Client(base_url=service.client.base_url, timeout=UPLOAD_SECONDS) as client:
            for number, (name, content) in enumerate(islice(cycle(pictures.items()), count)):
                client.post("/datasets", data={"name": f"hostile-{number}"}, files=[("images", (name, content))])

    thread = threading.Thread(target=upload)
    thread.start()
    try:
        yield thread.is_alive
    finally:
        thread.join()


def _print(service: LocalService, beside: str, times: list[float]) -> None:
    ordered = sorted(1000 * each for each in times)
    p50, p99, longest = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1]
    print(f"| {beside} | {p50:.2f} | {p99:.2f} | {longest:.1f} | {_memory(service):.0f} |", flush=True)


def _memory(service: LocalService) -> float:
    pages = Path(f"/proc/{service.pid('api')}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
