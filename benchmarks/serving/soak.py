"""Long use with kills in it: no image is handed out twice, every address gives its bytes back, memory stays flat.

    python -m benchmarks.serving.soak [--images 100000] [--verify-all] [--without-kills]

16 clients take unseeded images, one or 16 at a time, and try again where they are refused or cut off. At a quarter of
the images the sampling worker is killed, at half the API, at three quarters Redis, each by SIGKILL. Afterwards images
are asked back by their addresses, in runs of consecutive seeds and alone.
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
from tests.conftest import Service, until

from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.machine import machine
from benchmarks.serving.processes import resident_bytes
from benchmarks.serving.site import MODEL, flawsmith
from flawsmith.core.domain.addresses import Address

CLIENTS = 16
COUNTS = (1, 16)
KILLS = {0.25: ("worker", "sample"), 0.5: ("api",), 0.75: ("redis",)}  # at which share of the images
RUN = 64  # consecutive seeds that are asked back at once
ALONE = 50  # images that are asked back by themselves
LONGEST_REFUSAL = 120.0  # seconds in a row without an answer, after which the soak gives up


@dataclass
class TakeResult:
    """What all clients pipeline were handed: address -> SHA-256 of the PNG. Kept by several threads."""

    digests: dict[Address, str] = field(default_factory=dict)
    twice: list[Address] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, images: list[tuple[Address, bytes]]) -> None:
        digests = [(address, hashlib.sha256(image).hexdigest()) for address, image in images]
        with self.lock:
            self.twice += [address for address, _ in digests if address in self.digests]
            self.digests |= dict(digests)

    def refused(self, reason: str) -> None:
        with self.lock:
            self.refusals[reason] += 1


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=100_000)
    options.add_argument("--verify", type=int, default=2_000, help="images that are asked back")
    options.add_argument("--verify-all", action="store_true")
    options.add_argument("--without-kills", action="store_true", help="to see one process's memory from start to end")
    options.add_argument("--resolution", type=int, default=128, help="of the images; less is quicker")
    given = options.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, flawsmith(Path(folder) / "site") as service:
        config = article_config(resolution=given.resolution)
        publish(service.data_dir, MODEL, save_weights(Path(folder), config), config)
        taken = _take(service, given.images, {} if given.without_kills else KILLS)
        wrong, asked = _verify(service, taken, len(taken.digests) if given.verify_all else given.verify)
    print(
        f"{'holds' if not taken.twice else 'FAILS'}: {len(taken.digests)} images, {len(taken.twice)} seeds given twice"
    )
    print(f"{'holds' if not wrong else 'FAILS'}: {asked} asked back by address, {wrong} with other bytes")
    sys.exit(bool(taken.twice or wrong))


def _take(service: Service, images: int, kills: dict[float, tuple[str, ...]]) -> TakeResult:
    """Has the clients take the images, and kills parts at their time."""
    taken, begun = TakeResult(), time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        working = [clients.submit(_client, service, taken, images, number) for number in range(CLIENTS)]
        for share in sorted({0.01, 0.5, 1.0, *kills}):
            while len(taken.digests) < share * images and not all(each.done() for each in working):
                time.sleep(0.1)
            _tell_memory(service, taken, time.monotonic() - begun)
            if share in kills:
                _kill(service, kills[share])
        for each in working:
            each.result()
    refusals = ", ".join(f"{reason} {count}x" for reason, count in sorted(taken.refusals.items())) or "nothing"
    print(f"{len(taken.digests) / (time.monotonic() - begun):.1f} images/s; tried again after {refusals}", flush=True)
    return taken


def _client(service: Service, taken: TakeResult, images: int, number: int) -> None:
    choose = random.Random(number)
    answered = time.monotonic()
    with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
        while len(taken.digests) < images:
            try:
                taken.add(_images(client, {"model": MODEL, "count": choose.choice(COUNTS)}))
                answered = time.monotonic()
            except httpx.HTTPStatusError as error:
                taken.refused(str(error.response.status_code))
                time.sleep(min(1.0, float(error.response.headers.get("Retry-After", 0.2))))
            except httpx.TransportError as error:
                taken.refused(type(error).__name__)
                time.sleep(0.2)
            if time.monotonic() - answered > LONGEST_REFUSAL:
                raise TimeoutError(f"client {number} got no image for {LONGEST_REFUSAL:g} s")


def _images(client: httpx.Client, body: dict[str, str | int]) -> list[tuple[Address, bytes]]:
    """Images with their addresses, one as a picture, several from a zip. Raises httpx.HTTPError."""
    several = body["count"] != 1
    headers = {"Accept": "application/zip" if several else "image/png"}
    answer = client.post("/generate", json=body, headers=headers).raise_for_status()
    if not several:
        address = Address(unquote(answer.headers["X-Defect-Type"]), int(answer.headers["X-Seed"]))
        return [(address, answer.content)]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        listed = json.loads(archive.read("manifest.json"))["images"]
        return [(Address(each["defect_type"], each["seed"]), archive.read(each["file"])) for each in listed]


def _tell_memory(service: Service, taken: TakeResult, seconds: float) -> None:
    def pids() -> tuple[int | None, int | None] | None:
        found = service.pid("api"), service.pid("redis")
        return found if all(found) else None

    api, redis = until(pids, 60, "API and Redis live")
    print(
        f"{seconds:7.0f} s, {len(taken.digests):7d} images: API (process {api}) {resident_bytes(api) / 2**20:.1f} MiB, "
        f"Redis (process {redis}) {resident_bytes(redis) / 2**20:.1f} MiB",
        flush=True,
    )


def _kill(service: Service, part: tuple[str, ...]) -> None:
    pid = service.pid(*part)
    assert pid is not None, part
    os.kill(pid, signal.SIGKILL)
    print(f"killed {' '.join(part)} (process {pid})", flush=True)


def _verify(service: Service, taken: TakeResult, number: int) -> tuple[int, int]:
    """Asks images back by their addresses; how many had other bytes, and how many were asked."""
    runs = list(_runs(sorted(taken.digests, key=lambda each: (each.defect_type, each.seed))))
    random.Random(0).shuffle(runs)
    wrong = asked = 0
    until(service.ready, 60, "the service is ready again")
    with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
        for index, run in enumerate(runs):
            if asked >= number:
                break
            wrong += _differing(client, taken, run)
            asked += len(run)
            if index < ALONE:
                wrong += _differing(client, taken, run[:1])
    return wrong, asked


def _differing(client: httpx.Client, taken: TakeResult, run: list[Address]) -> int:
    first = run[0]
    body: dict[str, str | int] = {
        "model": MODEL,
        "count": len(run),
        "seed": first.seed,
        "defect_type": first.defect_type,
    }
    images = _images(client, body)
    same = [taken.digests.get(address) == hashlib.sha256(image).hexdigest() for address, image in images]
    return len(run) - sum(same)


def _runs(addresses: list[Address]) -> Iterator[list[Address]]:
    """Sorted addresses in runs of consecutive seeds of one type, each of at most `RUN`."""
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
