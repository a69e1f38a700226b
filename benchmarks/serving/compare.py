"""Flawsmith beside LitServe, BentoML, plain FastAPI and a bare endpoint, and beside what the machine allows.

    python -m benchmarks.serving.compare [--quick] [--only one,stock,drained,zip,cold,limits] [--out docs/benchmarks.md]

Everything runs on this machine, load generator included: a service with the article's generator, the peers with the
same weights, one at a time in rotation. The peers need an environment of their own, made from
benchmarks/serving/peers/requirements.txt; `--peers-python` says where.
"""

import argparse
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.conftest import Service

from benchmarks.serving import limits
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.contenders import BARE, BENTOML, LITSERVE, PLAIN, Contender, peer
from benchmarks.serving.demands import MACHINE
from benchmarks.serving.figures import (
    COLD,
    DRAINED,
    DRAINED_HITS,
    FLAWSMITH,
    FROM_STOCK,
    ONE_HITS,
    OTHERS,
    P50,
    P99,
    STOCK_HITS,
    STOCK_REQUESTS,
    WRONG,
    ZIP,
    Figures,
)
from benchmarks.serving.load import Load, Outcome, run_apart
from benchmarks.serving.processes import until_idle
from benchmarks.serving.report import holding, report
from benchmarks.serving.site import MODEL, flawsmith, one_image, until_stock_is_full, zip_of

ROOT = Path(__file__).parents[2]
PARTS = ("one", "stock", "drained", "zip", "cold", "limits")
LONGEST = 300.0  # seconds, of a run that ends after a number of requests
CLIENTS = 32
ZIP_IMAGES = 256


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    parts: frozenset[str] = frozenset(PARTS)
    rounds: int = 5
    warm_seconds: float = 2.0  # before each measurement
    seconds: float = 5.0  # of a measurement that no stock bounds
    one_requests: int = 200  # of one client, from stock
    stock_requests: int = 2000  # of 32 clients, from stock
    draining_seconds: float = 4.0
    drained_seconds: float = 10.0
    limit_seconds: float = 2.5


QUICK = Plan(
    rounds=1,
    warm_seconds=1.0,
    seconds=2.0,
    one_requests=30,
    stock_requests=200,
    draining_seconds=2.0,
    drained_seconds=4.0,
    limit_seconds=1.0,
)


class Comparison:
    """One run: the service, the peers, and what was measured."""

    def __init__(self, plan: Plan, service: Service, weights: Path, config: dict[str, Any]) -> None:
        self.plan, self.service, self.weights, self.config = plan, service, weights, config
        self.figures = Figures()
        self.turns: dict[str, Callable[[], None]] = {FLAWSMITH: self._flawsmith, MACHINE: self._limits}
        self.pids = {FLAWSMITH: service.process.pid}

    def add(self, contender: Contender) -> None:
        def turn() -> None:
            with contender.turn():
                self._peer(contender)

        self.turns[contender.name] = turn
        self.pids[contender.name] = contender.pid

    def run(self) -> None:
        """All rounds; each begins with another contender."""
        names = list(self.turns)
        for number in range(self.plan.rounds):
            print(f"round {number + 1} of {self.plan.rounds}", flush=True)
            start = number % len(names)
            for name in names[start:] + names[:start]:
                others = until_idle([pid for other, pid in self.pids.items() if other != name])
                self.figures.add(OTHERS, name, 100 * others)
                self.turns[name]()

    def _flawsmith(self) -> None:
        turns = {"one": self._one, "stock": self._stock, "drained": self._drained, "zip": self._zip, "cold": self._cold}
        for part, turn in turns.items():
            if part in self.plan.parts:
                turn()

    def _one(self) -> None:
        outcome = self._from_stock(one_image(self.service), self.plan.one_requests)
        self._add_latencies(FLAWSMITH, outcome)
        self.figures.add(ONE_HITS, FLAWSMITH, _hits(outcome))

    def _stock(self) -> None:
        outcome = self._from_stock(replace(one_image(self.service), clients=CLIENTS), self.plan.stock_requests)
        self._add(FROM_STOCK, FLAWSMITH, outcome)
        self.figures.add(STOCK_REQUESTS, FLAWSMITH, len(outcome.status))
        self.figures.add(STOCK_HITS, FLAWSMITH, _hits(outcome))

    def _from_stock(self, load: Load, requests: int) -> Outcome:
        """As many requests as the stock holds, once it is full: one client asks faster than any generator makes."""
        run_apart(replace(load, seconds=self.plan.warm_seconds))
        held = until_stock_is_full(self.service)
        return run_apart(replace(load, requests=min(requests, held or requests), seconds=LONGEST))

    def _drained(self) -> None:
        outcome = self._steady(replace(one_image(self.service), clients=CLIENTS))
        self._add(DRAINED, FLAWSMITH, outcome)
        self.figures.add(DRAINED_HITS, FLAWSMITH, _hits(outcome))

    def _zip(self) -> None:
        outcome = self._steady(zip_of(self.service, ZIP_IMAGES))
        self._count_wrong(FLAWSMITH, outcome)
        self.figures.add(ZIP, FLAWSMITH, outcome.images_in_a_row)

    def _steady(self, load: Load) -> Outcome:
        plan = self.plan
        return run_apart(replace(load, warm_seconds=plan.draining_seconds, seconds=plan.drained_seconds))

    def _cold(self) -> None:
        name = f"cold-{len(self.figures.of(COLD)) + 1}"
        publish(self.service.data_dir, name, self.weights, self.config)
        outcome = run_apart(replace(one_image(self.service, name), requests=1, seconds=LONGEST))
        self._count_wrong(FLAWSMITH, outcome)
        self.figures.add(COLD, FLAWSMITH, 1000 * outcome.latency(0.5))

    def _peer(self, contender: Contender) -> None:
        plan, name = self.plan, contender.name
        load = replace(contender.request, warm_seconds=plan.warm_seconds, seconds=plan.seconds)
        if "one" in plan.parts:
            self._add_latencies(name, run_apart(load))
        if "stock" in plan.parts and name == BARE:
            self._add(FROM_STOCK, name, run_apart(replace(load, clients=CLIENTS)))
        if "drained" in plan.parts and name != BARE:
            self._add(DRAINED, name, self._steady(replace(load, clients=CLIENTS)))

    def _limits(self) -> None:
        if "limits" in self.plan.parts:
            for name, rate in limits.measure_apart(self.service.data_dir, self.plan.limit_seconds).items():
                self.figures.add(f"{name}, images/s" if name != limits.LIMIT else name, MACHINE, rate)

    def _add(self, figure: str, contender: str, outcome: Outcome) -> None:
        self._count_wrong(contender, outcome)
        self.figures.add(figure, contender, outcome.images_per_second)

    def _add_latencies(self, contender: str, outcome: Outcome) -> None:
        self._count_wrong(contender, outcome)
        self.figures.add(P50, contender, 1000 * outcome.latency(0.5))
        self.figures.add(P99, contender, 1000 * outcome.latency(0.99))

    def _count_wrong(self, contender: str, outcome: Outcome) -> None:
        wrong = len(outcome.status) - outcome.answers()
        if wrong:
            self.figures.add(WRONG, contender, wrong)


def _hits(outcome: Outcome) -> float:
    return 100 * outcome.tally["hit"] / max(1, len(outcome.status))


def _run(plan: Plan, peers: list[str], peers_python: Path) -> Figures:
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        config = article_config()
        weights = save_weights(folder, config)
        service = running.enter_context(flawsmith(folder / "site"))
        version = publish(service.data_dir, MODEL, weights, config)
        comparison = Comparison(plan, service, weights, config)
        published = service.data_dir / "artifacts" / "models" / MODEL / "versions" / str(version.version)
        for each in peers:
            log = folder / f"{each.replace(' ', '-')}.log"
            print(f"starting {each}", flush=True)
            comparison.add(running.enter_context(peer(each, published, service.data_dir, log, peers_python)))
        comparison.run()
    return comparison.figures


def main() -> None:
    every = (LITSERVE, BENTOML, PLAIN, BARE)
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="one short round, to see that all of it runs")
    options.add_argument("--only", default=",".join(PARTS), help="parts, with commas between: %(default)s")
    options.add_argument("--peers", default=",".join(every), help="with commas between, or '': %(default)s")
    options.add_argument("--peers-python", type=Path, default=ROOT / ".venv-peers" / "bin" / "python")
    options.add_argument("--rounds", type=int)
    options.add_argument("--one-requests", type=int, help="of one client from stock")
    options.add_argument("--stock-requests", type=int, help="of 32 clients from stock")
    options.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    given = options.parse_args()
    chosen = {name: getattr(given, name) for name in ("rounds", "one_requests", "stock_requests")}
    plan = replace(
        QUICK if given.quick else Plan(),
        parts=frozenset(given.only.split(",")),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    figures = _run(plan, [each for each in given.peers.split(",") if each], given.peers_python)
    command = shlex.join(["python", "-m", "benchmarks.serving.compare", *sys.argv[1:]])
    given.out.write_text(report(figures, command, plan.rounds))
    print(given.out.read_text())
    sys.exit(not holding(figures))


if __name__ == "__main__":
    main()
