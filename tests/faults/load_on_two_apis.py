"""Two loads on a cluster: callers that ask for new images without a pause, and jobs that follow one another."""

import base64
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import httpx2

from flawsmith.client import Client, Job
from tests.faults.cluster import BUSY_SECONDS
from tests.faults.cluster_of_hosts import KEY
from tests.faults.two_apis import ANSWER_SECONDS, Callers

PAUSE_SECONDS = 0.1  # between two calls of a caller
MOST_IMAGES = 4  # of a call
DEADLINE_SECONDS = 5.0  # well below ANSWER_SECONDS
LOOK_SECONDS = 0.3  # between two looks at a job
REPEATED_SECONDS = 600.0  # that the client repeats a call of a job

ImageAddress = tuple[str, str, int]
"""Version, defect type, seed."""


class Load(threading.Thread):
    """A thread that repeats one thing until it is stopped. ``error`` is what ended it before."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.stopped = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.error = error

    def work(self) -> None:
        raise NotImplementedError


@contextmanager
def running(loads: Sequence[Load]) -> Iterator[None]:
    """Runs loads during the block; then each may end what it has begun, and none may have failed."""
    for each in loads:
        each.start()
    try:
        yield
    finally:
        for each in loads:
            each.stopped.set()
    for each in loads:
        each.join(BUSY_SECONDS)
        assert not each.is_alive() and each.error is None, each.error


class Served:
    """The images that callers were given: the SHA-256 of each, and those that were given twice."""

    def __init__(self) -> None:
        self.digests: dict[ImageAddress, str] = {}
        self.twice: list[ImageAddress] = []
        self._lock = threading.Lock()

    def add(self, answer: dict[str, Any]) -> None:
        with self._lock:
            for each in answer["images"]:
                address = (answer["model"], each["defect_type"], each["seed"])
                if address in self.digests:
                    self.twice.append(address)
                self.digests[address] = hashlib.sha256(base64.b64decode(each["data"])).hexdigest()


class ImageLoad(Load):
    """Asks for new images of a version."""

    def __init__(self, callers: Callers, first: str, model: str, served: Served) -> None:
        super().__init__()
        self.callers, self.first, self.model, self.served = callers, first, model, served

    def work(self) -> None:
        with self.callers.http(self.first) as client:
            while not self.stopped.wait(PAUSE_SECONDS):
                body = {"model": self.model, "count": random.randint(1, MOST_IMAGES)}
                try:
                    answer = client.post(
                        "/generate",
                        json={**body, "deadline_seconds": DEADLINE_SECONDS},
                        headers={"Accept": "application/json"},
                    )
                except httpx2.TransportError:  # of both APIs; the log has it
                    continue
                if answer.status_code == 200:
                    self.served.add(answer.json())


class JobLoad(Load):
    """Submits a job, waits for its end, and submits the next, by the client of this repository."""

    def __init__(self, callers: Callers, first: str, name: str, submit: Callable[[Client, str], Job]) -> None:
        super().__init__()
        self.callers, self.first, self.model, self.submit = callers, first, name, submit
        self.jobs: dict[str, Job] = {}  # as they were last seen, by id
        self.current: Job | None = None
        self._moves: list[float] = []  # when a job was seen to be further than before, on the monotonic clock

    def longest_pause(self, since: float) -> float:
        """The longest time without a step, from a moment on until now, in seconds."""
        times = [since, *(each for each in self._moves if each > since), time.monotonic()]
        return max(later - earlier for earlier, later in pairwise(times))

    def work(self) -> None:
        transport = self.callers.transport(self.first)
        with Client(
            "http://cluster", KEY, timeout=ANSWER_SECONDS, deadline=REPEATED_SECONDS, transport=transport
        ) as client:
            while not self.stopped.is_set():
                self._see(self.submit(client, f"{self.model}-{len(self.jobs)}"))
                while self.current and not self.current.ended:
                    time.sleep(LOOK_SECONDS)
                    self._see(client.job(self.current))

    def _see(self, job: Job) -> None:
        if not self.current or (job.id, job.progress.step) != (self.current.id, self.current.progress.step):
            self._moves.append(time.monotonic())
        self.current = self.jobs[job.id] = job
