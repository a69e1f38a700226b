"""The time that evaluations and tests take in a run whose length is a time, on a clock of the test's own."""

from typing import cast

import pytest
from tests.worker.runs import ScriptedTrainer, run_of

from flawsmith.models.training.trainer import Trainer
from flawsmith.worker import evaluation_budget
from flawsmith.worker.training_run import Run

MANY = 1_000_000


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(evaluation_budget.time, "monotonic", lambda: self.seconds)


class SlowTrainer(ScriptedTrainer):
    """A step, an evaluation and a test of one defect type take so many seconds each."""

    def __init__(self, clock: Clock, step: float, evaluation: float, test: float, types: int) -> None:
        super().__init__()
        self.clock, self.costs, self.types = clock, (step, evaluation, test), types
        self.evaluations, self.tested, self.postponed = 0, 0, False
        self.common, self.preparation = 0.0, 0.0  # seconds, once and of each type
        self.unprepared_types = types

    def step(self, progress: float) -> dict:  # type: ignore[type-arg]
        self.clock.seconds += self.costs[0]
        if not self.postponed:
            while self.tests_pending:
                self.test_next()
        return super().step(progress)

    def prepare_evaluation(self) -> "SlowTrainer":
        """Takes its time once."""
        self.clock.seconds += self.common
        self.common = 0.0
        return self

    def prepare_next(self) -> None:
        self.clock.seconds += self.preparation
        self.unprepared_types -= 1

    def evaluate(self) -> dict[str, float]:
        assert not self.unprepared_types
        self.clock.seconds += self.costs[1]
        self.evaluations += 1
        return {"distance": 0.05, "diversity": 1.0}

    def postpone_tests(self) -> None:
        self.postponed = True

    @property
    def tests_pending(self) -> bool:
        return self.tested < self.types

    def test_next(self) -> None:
        self.clock.seconds += self.costs[2]
        self.tested += 1


def train(run: Run) -> None:
    """As `TrainingWork` does, to the end."""
    while run.stop_reason is None:
        run.train(run.evaluate)
    run.conclude(run.evaluate)


@pytest.mark.parametrize(
    ("max_seconds", "step", "evaluation", "test", "types"),
    [
        (90, 0.2, 2.0, 1.2, 6),  # the example: six types on two cores
        (90, 0.05, 0.3, 0.5, 1),
        (90, 0.2, 4.4, 3.0, 6),  # evaluations that almost fill it
        (3600, 0.2, 6.0, 6.0, 6),
        (20, 0.1, 0.1, 0.9, 12),
    ],
)
def test_they_take_at_most_a_tenth_of_the_time(
    monkeypatch: pytest.MonkeyPatch, max_seconds: float, step: float, evaluation: float, test: float, types: int
) -> None:
    clock = Clock(monkeypatch)
    trainer = SlowTrainer(clock, step, evaluation, test, types)
    run = run_of(cast(Trainer, trainer), total_steps=MANY, max_seconds=max_seconds)
    train(run)
    spent = trainer.evaluations * evaluation + trainer.tested * test
    assert spent <= 0.1 * clock.seconds
    assert trainer.evaluations >= 2  # the first step and the last one
    assert run.evaluated
    assert run.step * step >= 0.9 * max_seconds - step


def test_cheap_ones_are_all_made_and_late_ones_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    trainer = SlowTrainer(clock, 0.1, 0.05, 0.1, 6)
    run = run_of(cast(Trainer, trainer), total_steps=MANY, max_seconds=90)
    train(run)
    assert trainer.tested == 6
    evaluated = [point["step"] for point in run.history if "distance" in point]
    assert len(evaluated) >= 20
    assert [step for step in evaluated if 400 < step < 800]


def test_what_is_computed_once_is_not_taken_for_the_cost_of_each_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    trainer = SlowTrainer(clock, 0.2, 0.5, 0, types=6)
    trainer.common, trainer.preparation = 1.2, 0.8  # 33 photographs of each type at 64 pixels, on two cores
    run = run_of(cast(Trainer, trainer), total_steps=MANY, max_seconds=150)
    train(run)
    assert 6 + trainer.evaluations * 0.5 <= 0.1 * clock.seconds
    assert trainer.evaluations >= 7
    assert run.health.reasons == []


def late_trainer(monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, SlowTrainer]:
    """What it computes once for six types takes 11 seconds, as on two busy cores."""
    clock = Clock(monkeypatch)
    trainer = SlowTrainer(clock, 0.2, 2.0, 1.2, types=6)
    trainer.common, trainer.preparation = 2.0, 1.5
    return clock, trainer


def test_where_the_preparation_would_take_too_long_only_the_last_step_is_evaluated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, trainer = late_trainer(monkeypatch)
    run = run_of(cast(Trainer, trainer), total_steps=MANY, max_seconds=90)
    while run.stop_reason is None:
        run.train(run.evaluate)
    assert trainer.unprepared_types == 5  # the first one showed what the others would take
    assert clock.seconds - run.step * 0.2 <= 9
    assert run.step * 0.2 >= 81 - 0.2
    assert trainer.tested > 0  # tests of the photographs have their share
    run.conclude(run.evaluate)
    assert [point["step"] for point in run.history if "distance" in point] == [run.step]
    assert run.best
    assert run.best.step == run.step
    assert ["last step only" in reason for reason in run.health.reasons] == [True]


def test_a_longer_run_prepares_all_of_it_at_its_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, trainer = late_trainer(monkeypatch)
    run = run_of(cast(Trainer, trainer), total_steps=MANY, max_seconds=900)
    train(run)
    assert "distance" in run.history[0]
    assert 11 + trainer.evaluations * 2 + trainer.tested * 1.2 <= 0.1 * clock.seconds
    assert run.health.reasons == []


def test_a_resumed_run_keeps_its_evaluations_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    _, trainer = late_trainer(monkeypatch)
    run = run_of(cast(Trainer, trainer), total_steps=MANY, max_seconds=90)
    for _ in range(20):
        run.train(run.evaluate)
    _, fresh = late_trainer(monkeypatch)
    resumed = run_of(cast(Trainer, fresh), total_steps=MANY, max_seconds=90)
    fresh.completed_steps, resumed.history = trainer.completed_steps, run.history
    resumed.trained_seconds = run.trained_seconds
    resumed.budget = evaluation_budget.EvaluationBudget(**vars(run.budget))
    train(resumed)
    assert [point["step"] for point in resumed.history if "distance" in point] == [resumed.step]
    assert fresh.evaluations == 1
    assert any("last step only" in reason for reason in resumed.health.reasons)


def test_a_resumed_run_counts_what_it_spent_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    budget = evaluation_budget.EvaluationBudget(100, evaluating=9.0, evaluation=1.0, testing=5.0, test=1.0)
    assert not budget.may_evaluate(100)
    assert not budget.may_test()
    assert clock.seconds == 0


@pytest.mark.parametrize("cost", [0.0, 50.0])
def test_without_max_seconds_the_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch, cost: float) -> None:
    clock = Clock(monkeypatch)
    trainer = SlowTrainer(clock, 0.1, cost, cost, 6)
    trainer.common = trainer.preparation = cost
    run = run_of(cast(Trainer, trainer), total_steps=1000)
    train(run)
    assert (trainer.postponed, trainer.tested) == (False, 6)
    assert run.health.reasons == []
    assert [point["step"] for point in run.history if "distance" in point] == [1, *range(20, 1001, 20)]
