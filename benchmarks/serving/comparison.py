"""Measures Flawsmith, its peers and the limits of the machine in rounds, so that drifts affect all of them alike."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.local_service import LocalService
from benchmarks.serving import limits
from benchmarks.serving.article_generator import publish
from benchmarks.serving.figures import (
    COLD,
    DRAINED,
    DRAINED_HITS,
    FAILED,
    FLAWSMITH,
    FROM_POOL,
    IDLE_CPU,
    ONE_HITS,
    P50,
    P99,
    POOL_HITS,
    POOL_REQUESTS,
    ZIP,
    Figures,
)
from benchmarks.serving.flawsmith_service import one_image, wait_until_pool_is_full, zip_of
from benchmarks.serving.load import Load, Outcome, run_apart
from benchmarks.serving.peer_servers import BARE, PeerServer
from benchmarks.serving.processes import wait_until_idle
from benchmarks.serving.requirements import MACHINE

PARTS = ("one", "pool", "drained", "zip", "cold", "limits")
MAX_SECONDS = 300.0  # of a measurement that ends after a number of requests
CLIENTS = 32
ZIP_IMAGES = 256


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long."""

    parts: frozenset[str] = frozenset(PARTS)
    rounds: int = 5
    warm_seconds: float = 2.0  # before each measurement
    seconds: float = 5.0  # of a measurement without the pool
    one_requests: int = 200  # of 1 client, from the pool
    pool_requests: int = 2000  # of 32 clients, from the pool
    draining_seconds: float = 4.0
    drained_seconds: float = 10.0
    limit_seconds: float = 2.5


QUICK = Plan(
    rounds=1,
    warm_seconds=1.0,
    seconds=2.0,
    one_requests=30,
    pool_requests=200,
    draining_seconds=2.0,
    drained_seconds=4.0,
    limit_seconds=1.0,
)


class Comparison:
    """The service, its peers, and their figures."""

    def __init__(self, plan: Plan, service: LocalService, weights: Path, config: dict[str, Any]) -> None:
        self.plan, self.service, self.weights, self.config = plan, service, weights, config
        self.figures = Figures()
        self.measurements: dict[str, Callable[[], None]] = {FLAWSMITH: self._flawsmith, MACHINE: self._limits}
        self.pids = {FLAWSMITH: service.process.pid}

    def add(self, server: PeerServer) -> None:
        """Adds a peer to every round."""

        def measure() -> None:
            with server.resumed():
                self._peer(server)

        self.measurements[server.name] = measure
        self.pids[server.name] = server.pid

    def run(self) -> None:
        """Measures all rounds; each begins with another contender."""
        names = list(self.measurements)
        for number in range(self.plan.rounds):
            print(f"round {number + 1} of {self.plan.rounds}", flush=True)
            start = number % len(names)
            for name in names[start:] + names[:start]:
                idle = wait_until_idle([pid for other, pid in self.pids.items() if other != name])
                self.figures.add(IDLE_CPU, name, 100 * idle)
                self.measurements[name]()

    def _flawsmith(self) -> None:
        parts = {"one": self._one, "pool": self._pool, "drained": self._drained, "zip": self._zip, "cold": self._cold}
        for part, measure in parts.items():
            if part in self.plan.parts:
                measure()

    def _one(self) -> None:
        outcome = self._from_pool(one_image(self.service), self.plan.one_requests)
        self._add_latencies(FLAWSMITH, outcome)
        self.figures.add(ONE_HITS, FLAWSMITH, _hits(outcome))

    def _pool(self) -> None:
        outcome = self._from_pool(replace(one_image(self.service), clients=CLIENTS), self.plan.pool_requests)
        self._add(FROM_POOL, FLAWSMITH, outcome)
        self.figures.add(POOL_REQUESTS, FLAWSMITH, len(outcome.status))
        self.figures.add(POOL_HITS, FLAWSMITH, _hits(outcome))

    def _from_pool(self, load: Load, requests: int) -> Outcome:
        """Sends at most as many requests as the full pool has images: clients are faster than any generator."""
        run_apart(replace(load, seconds=self.plan.warm_seconds))
        size = wait_until_pool_is_full(self.service)
        return run_apart(replace(load, requests=min(requests, size or requests), seconds=MAX_SECONDS))

    def _drained(self) -> None:
        outcome = self._steady(replace(one_image(self.service), clients=CLIENTS))
        self._add(DRAINED, FLAWSMITH, outcome)
        self.figures.add(DRAINED_HITS, FLAWSMITH, _hits(outcome))

    def _zip(self) -> None:
        outcome = self._steady(zip_of(self.service, ZIP_IMAGES))
        self._count_failed(FLAWSMITH, outcome)
        self.figures.add(ZIP, FLAWSMITH, outcome.images_in_a_row)

    def _steady(self, load: Load) -> Outcome:
        plan = self.plan
        return run_apart(replace(load, warm_seconds=plan.draining_seconds, seconds=plan.drained_seconds))

    def _cold(self) -> None:
        name = f"cold-{len(self.figures.of(COLD)) + 1}"
        publish(self.service.data_dir, name, self.weights, self.config)
        outcome = run_apart(replace(one_image(self.service, name), requests=1, seconds=MAX_SECONDS))
        self._count_failed(FLAWSMITH, outcome)
        self.figures.add(COLD, FLAWSMITH, 1000 * outcome.latency(0.5))

    def _peer(self, server: PeerServer) -> None:
        plan, name = self.plan, server.name
        load = replace(server.request, warm_seconds=plan.warm_seconds, seconds=plan.seconds)
        if "one" in plan.parts:
            self._add_latencies(name, run_apart(load))
        if "pool" in plan.parts and name == BARE:
            self._add(FROM_POOL, name, run_apart(replace(load, clients=CLIENTS)))
        if "drained" in plan.parts and name != BARE:
            self._add(DRAINED, name, self._steady(replace(load, clients=CLIENTS)))

    def _limits(self) -> None:
        if "limits" in self.plan.parts:
            for name, rate in limits.measure_apart(self.service.data_dir, self.plan.limit_seconds).items():
                self.figures.add(f"{name}, images/s" if name != limits.LIMIT else name, MACHINE, rate)

    def _add(self, figure: str, contender: str, outcome: Outcome) -> None:
        self._count_failed(contender, outcome)
        self.figures.add(figure, contender, outcome.images_per_second)

    def _add_latencies(self, contender: str, outcome: Outcome) -> None:
        self._count_failed(contender, outcome)
        self.figures.add(P50, contender, 1000 * outcome.latency(0.5))
        self.figures.add(P99, contender, 1000 * outcome.latency(0.99))

    def _count_failed(self, contender: str, outcome: Outcome) -> None:
        failed = len(outcome.status) - outcome.answers()
        if failed:
            self.figures.add(FAILED, contender, failed)


def _hits(outcome: Outcome) -> float:
    return 100 * outcome.tally["hit"] / max(1, len(outcome.status))
