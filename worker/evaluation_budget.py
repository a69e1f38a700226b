"""Bounds the time that evaluations and tests of the photographs take in a run whose length is a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SHARE = 0.1  # of `max_seconds` for evaluations and tests together; tests may have half of it
UNTRIED = 2.0  # evaluations: what the first test is taken to cost


@dataclass
class EvaluationBudget:
    """What evaluations and tests have cost so far, in seconds, and whether there is time for another one.

    The first and the last evaluation are always made, so the bound holds where one takes less than half of `SHARE`.
    Without ``max_seconds`` there is no bound: the clock must not change such a run.
    """

    max_seconds: float | None
    evaluating: float = 0.0  # all evaluations, and what was computed for them once
    testing: float = 0.0  # all tests
    evaluation: float = 0.0  # the last evaluation
    test: float = 0.0  # the last test

    def may_evaluate(self, trained_seconds: float) -> bool:
        """Whether an evaluation now, and the last one, leave the evaluations within their share of the time so far."""
        if self.max_seconds is None or not self.evaluating:
            return True
        share = SHARE - self.testing / self.max_seconds
        return self.evaluating + 2 * self.evaluation <= share * trained_seconds

    def may_test(self) -> bool:
        """Whether there is time for a test, once an evaluation has shown what it costs."""
        if self.max_seconds is None or not self.evaluating:
            return False
        testing = self.testing + (self.test or UNTRIED * self.evaluation)
        whole = SHARE * self.max_seconds
        return testing <= whole / 2 and testing + self.evaluating + self.evaluation <= whole

    @contextmanager
    def measured_preparation(self) -> Iterator[None]:
        """Around what is computed once for all evaluations, so that it does not count as what each of them takes."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.evaluating += time.monotonic() - begun

    @contextmanager
    def measured_evaluation(self) -> Iterator[None]:
        """Around an evaluation."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.evaluation = time.monotonic() - begun
            self.evaluating += self.evaluation

    @contextmanager
    def measured_test(self) -> Iterator[None]:
        """Around a test."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.test = time.monotonic() - begun
            self.testing += self.test
