"""Long use with killed processes: no image is given out twice, every address repeats its bytes, memory stays flat.

    python -m benchmarks.serving.soak [--images 100000] [--verify-all] [--without-kills]

16 clients request images without seeds, one or 16 at a time, and retry after refusals and broken connections. SIGKILL
ends the sampling worker at a quarter of the images, the API at half, and Redis at three quarters. Afterwards images are
requested again by their addresses, in runs of consecutive seeds and alone.
"""

import argparse
import hashlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import httpx2 as httpx

from benchmarks.local_service import LocalService, wait_until
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.flawsmith_service import MODEL, flawsmith
from benchmarks.serving.machine import machine
from benchmarks.serving.processes import resident_bytes
from flawsmith.core.domain.addresses import Address

CLIENTS = 16
COUNTS = (1, 16)
KILLS = {0.25: ("worker", "sample"), 0.5: ("api",), 0.75: ("redis",)}  # by share of the images
RUN = 64  # consecutive seeds that are verified in one request
ALONE = 50  # images that are verified in a request of their own
MAX_SECONDS_WITHOUT_IMAGE = 120.0  # of a client, before the soak gives up


@dataclass
class ReceivedImages:
    """The images that all clients received: address -> SHA-256 of the PNG. Several threads add to it."""

    digests: dict[Address, str] = field(default_factory=dict)
    twice: list[Address] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, images: list[tuple[Address, bytes]]) -> None:
        digests = [(address, hashlib.sha256(image).hexdigest()) for address, image in images]
        with self.lock:
            self.twice += [address for address, _ in digests if address in self.digests]
            self.digests |= dict(digests)

    def add_refusal(self, reason: str) -> None:
        with self.lock:
            self.refusals[reason] += 1


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=100_000)
    options.add_argument("--verify", type=int, default=2_000, help="images that are verified")
    options.add_argument("--verify-all", action="store_true")
    options.add_argument(
        "--without-kills", action="store_true", help="to follow the memory of the same processes from start to end"
    )
    options.add_argument("--resolution", type=int, default=128, help="of the images; a smaller one is faster")
    given = options.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, flawsmith(Path(folder) / "flawsmith") as service:
        config = article_config(resolution=given.resolution)
        publish(service.data_dir, MODEL, save_weights(Path(folder), config), config)
        received = _receive(service, given.images, {} if given.without_kills else KILLS)
        wrong, requested = _verify(service, received, len(received.digests) if given.verify_all else given.verify)
    images, twice = len(received.digests), len(received.twice)
    print(f"{'holds' if not twice else 'FAILS'}: {images} images, {twice} seeds given out twice")
    print(f"{'holds' if not wrong else 'FAILS'}: {requested} requested again by address, {wrong} with other bytes")
    sys.exit(bool(received.twice or wrong))


def _receive(service: LocalService, images: int, kills: dict[float, tuple[str, ...]]) -> ReceivedImages:
    """Runs the clients until they have the images, and kills processes on the way."""
    received, begun = ReceivedImages(), time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        working = [clients.submit(_client, service, received, images, number) for number in range(CLIENTS)]
        for share in sorted({0.01, 0.5, 1.0, *kills}):
            while len(received.digests) < share * images and not all(each.done() for each in working):
                time.sleep(0.1)
            _print_memory(service, received, time.monotonic() - begun)
            if share in kills:
                _kill(service, kills[share])
        for each in working:
            each.result()
    refusals = ", ".join(f"{reason} {count}x" for reason, count in sorted(received.refusals.items())) or "nothing"
    print(f"{len(received.digests) / (time.monotonic() - begun):.1f} images/s; retried after {refusals}", flush=True)
    return received


def _client(service: LocalService, received: ReceivedImages, images: int, number: int) -> None:
    choose = random.Random(number)
    answered = time.monotonic()
    with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
        while len(received.digests) < images:
            try:
                received.add(_images(client, {"model": MODEL, "count": choose.choice(COUNTS)}))
                answered = time.monotonic()
            except httpx.HTTPStatusError as error:
                received.add_refusal(str(error.response.status_code))
                time.sleep(min(1.0, float(error.response.headers.get("Retry-After", 0.2))))
            except httpx.TransportError as error:
                received.add_refusal(type(error).__name__)
                time.sleep(0.2)
            if time.monotonic() - answered > MAX_SECONDS_WITHOUT_IMAGE:
                raise TimeoutError(f"client {number} got no image for {MAX_SECONDS_WITHOUT_IMAGE:g} s")


def _images(client: httpx.Client, body: dict[str, str | int]) -> list[tuple[Address, bytes]]:
    """Requests images, one as a PNG, several as a zip; returns them with their addresses. Raises httpx.HTTPError."""
    several = body["count"] != 1
    headers = {"Accept": "application/zip" if several else "image/png"}
    answer = client.post("/generate", json=body, headers=headers).raise_for_status()
    if not several:
        address = Address(unquote(answer.headers["X-Defect-Type"]), int(answer.headers["X-Seed"]))
        return [(address, answer.content)]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        listed = json.loads(archive.read("manifest.json"))["images"]
        return [(Address(each["defect_type"], each["seed"]), archive.read(each["file"])) for each in listed]


def _print_memory(service: LocalService, received: ReceivedImages, seconds: float) -> None:
    def pids() -> tuple[int | None, int | None] | None:
        found = service.pid("api"), service.pid("redis")
        return found if all(found) else None

    api, redis = wait_until(pids, 60, "API and Redis are running")
    api_mib, redis_mib = resident_bytes(api) / 2**20, resident_bytes(redis) / 2**20
    print(
        f"{seconds:7.0f} s, {len(received.digests):7d} images: API (process {api}) {api_mib:.1f} MiB, "
        f"Redis (process {redis}) {redis_mib:.1f} MiB",
        flush=True,
    )


def _kill(service: LocalService, part: tuple[str, ...]) -> None:
    pid = service.pid(*part)
    assert pid is not None, part
    os.kill(pid, signal.SIGKILL)
    print(f"killed {' '.join(part)} (process {pid})", flush=True)


def _verify(service: LocalService, received: ReceivedImages, number: int) -> tuple[int, int]:
    """Requests images again by their addresses; returns how many had other bytes, and how many were requested."""
    runs = list(_runs(sorted(received.digests, key=lambda each: (each.defect_type, each.seed))))
    random.Random(0).shuffle(runs)
    wrong = requested = 0
    wait_until(service.ready, 60, "the service is ready again")
    with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
        for index, run in enumerate(runs):
            if requested >= number:
                break
            wrong += _differing(client, received, run)
            requested += len(run)
            if index < ALONE:
                wrong += _differing(client, received, run[:1])
    return wrong, requested


def _differing(client: httpx.Client, received: ReceivedImages, run: list[Address]) -> int:
    first = run[0]
    body: dict[str, str | int] = {
        "model": MODEL,
        "count": len(run),
        "seed": first.seed,
        "defect_type": first.defect_type,
    }
    images = _images(client, body)
    same = [received.digests.get(address) == hashlib.sha256(image).hexdigest() for address, image in images]
    return len(run) - sum(same)


def _runs(addresses: list[Address]) -> Iterator[list[Address]]:
    """Splits sorted addresses into runs of consecutive seeds of one type, at most `RUN` long."""
    run: list[Address] = []
    for address in addresses:
        if run and (address != Address(run[-1].defect_type, run[-1].seed + 1) or len(run) == RUN):
            yield run
            run = []
        run.append(address)
    if run:
        yield run


if __name__ == "__main__":
    main()
