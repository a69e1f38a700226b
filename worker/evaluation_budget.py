"""Bounds the time that evaluations and tests of the photographs take in a run whose length is a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SHARE = 0.1  # of `max_seconds` for evaluations and tests together; tests may have half of it
UNTRIED = 2.0  # evaluations, or preparations of a type: what the first test is taken to cost
PREPARATIONS = 3.0  # what all types' preparations take, in evaluations at least: 3 (six types) to 6 (one), on a CPU


@dataclass
class EvaluationBudget:
    """What evaluations and tests have cost so far, in seconds, and whether there is time for another one.

    The last evaluation is always made. The first one is made where the bound has room for it, for the last one, and for
    what is computed once for all of them, as the first defect type shows; else all is left to the last one. An
    evaluation that takes more than half of `SHARE` is known too late. Without ``max_seconds`` there is no bound: the
    clock must not change such a run.
    """

    max_seconds: float | None
    evaluating: float = 0.0  # all evaluations, and what was computed for them once
    testing: float = 0.0  # all tests
    preparation: float = 0.0  # what was computed once for the last prepared type
    evaluation: float = 0.0  # the last evaluation
    test: float = 0.0  # the last test

    def may_prepare(self, types: int) -> bool:
        """Whether there is time to prepare so many defect types, and for an evaluation now and the last one."""
        if self.max_seconds is None or not types or not self.preparation:
            return True
        whole = self.evaluating + types * self.preparation
        evaluation = self.evaluation or whole / PREPARATIONS
        return self.testing + whole + 2 * evaluation <= SHARE * self.max_seconds

    def may_evaluate(self, trained_seconds: float) -> bool:
        """Whether an evaluation now, and the last one, leave the evaluations within their share of the time so far."""
        if self.max_seconds is None or not self.evaluating:
            return True
        share = SHARE - self.testing / self.max_seconds
        return self.evaluating + 2 * self.evaluation <= share * trained_seconds

    def may_test(self) -> bool:
        """Whether there is time for a test, once an evaluation or its preparation has shown what it costs."""
        if self.max_seconds is None or not self.evaluating:
            return False
        testing = self.testing + (self.test or UNTRIED * (self.evaluation or self.preparation))
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
    def measured_type(self) -> Iterator[None]:
        """Around what is computed once for one defect type."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.preparation = time.monotonic() - begun
            self.evaluating += self.preparation

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
