"""Runs fuzz tests for a time, and says how much they did and what memory they took."""

import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.app.conftest import api as api
from tests.app.conftest import line as line
from tests.app.conftest import make_api as make_api
from tests.app.conftest import redis_settings as redis_settings
from tests.app.conftest import services as services
from tests.conftest import PrintFigure

FULL_SECONDS = 600.0  # of the requests, of the routes, and of all parsers together
EXAMPLES = 150  # of a round; the full length makes rounds until its time is over
REPOSITORY = Path(__file__).parents[2]
SECRETS = (str(REPOSITORY), sys.prefix, "Traceback", "site-packages", 'File "')


@dataclass
class Fuzzing:
    """Calls a test with examples: a few, or for so many seconds at full length, with other seeds in each round."""

    full: bool
    print_figure: PrintFigure

    def __call__(
        self,
        name: str,
        test: Callable[[Any], str],
        examples: SearchStrategy[Any],
        *,
        count: int,
        seconds: float,
        memory: Callable[[], float],
    ) -> None:
        """Runs the test on the examples.

        Args:
            name: of what is read, for the figures.
            test: gets one example, and raises for a fault; returns what became of it, in a word.
            examples: of what strangers send.
            count: of examples of the short form.
            seconds: of the full length.
            memory: of the process that reads them, in MB.
        """
        slowest, outcomes = 0.0, Counter[str]()

        def run(example: Any) -> None:
            nonlocal slowest
            started = time.monotonic()
            outcomes[test(example)] += 1
            slowest = max(slowest, time.monotonic() - started)

        chosen = settings(
            max_examples=EXAMPLES if self.full else count,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        first, begun, warm = memory(), time.monotonic(), 0.0
        for number in itertools.count():
            seed(number)(chosen(given(examples)(run)))()
            warm = warm or memory()  # after a round every module is loaded
            if not self.full or time.monotonic() - begun > seconds:
                break
        last = memory()
        self.print_figure(
            f"{name}: {outcomes.total():,} examples in {time.monotonic() - begun:.0f} s, the slowest {slowest:.2f} s; "
            f"{first:.0f} MB before, {warm:.0f} after {chosen.max_examples}, {last:.0f} at the end; "
            + ", ".join(f"{count:,} x {outcome}" for outcome, count in outcomes.most_common())
        )
        if self.full:
            assert last < warm + 100, "the memory grows"


@pytest.fixture
def fuzz(full_length: bool, print_figure: PrintFigure) -> Fuzzing:
    return Fuzzing(full_length, print_figure)


def megabytes(*pids: int) -> float:
    """The resident memory of processes together, in MB."""
    total = 0.0
    for pid in pids:
        with suppress(OSError):
            fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            total += int(fields["VmRSS"].split()[0]) / 1024
    return total


def check(answer: httpx2.Response, *places: Path) -> None:
    """An answer is no 5xx, every refusal is a problem in words, and nothing tells a place on the host."""
    text = answer.text
    assert answer.status_code < 500, f"{answer.request.method} {answer.request.url}: {answer.status_code} {text[:2000]}"
    assert not any(each in text for each in (*SECRETS, *map(str, places))), text[:2000]
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", (answer.status_code, text[:500])
        assert answer.json()["detail"]
