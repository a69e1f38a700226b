"""A job's training run: its steps, what is recorded beside them, and when it is over."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from prometheus_client import Histogram
from torch import Tensor

from flawsmith.core.domain.health import diverged, judge
from flawsmith.core.domain.job_kinds.training import StopReason, TrainingJob
from flawsmith.core.domain.records import Health
from flawsmith.models.quality.registry import LEADING, MEASURES
from flawsmith.models.training.trainer import Preparation, PreparesEvaluation, TestsPhotographs, Trainer
from flawsmith.worker.best_step import COPIES, Best, evaluations_without_improvement, is_best
from flawsmith.worker.cadence import Cadence
from flawsmith.worker.determinism import (
    RandomStates,
    choose_kernels,
    random_states,
    restore_random_states,
    seed_process,
)
from flawsmith.worker.devices.trainer_parts import TrainerParts
from flawsmith.worker.evaluation_budget import EvaluationBudget
from flawsmith.worker.rollback import Rollback, roll_back

log = logging.getLogger(__name__)

EVALUATED_AT_END = (
    "samples are evaluated at the last step only: to evaluate them along the way would take more than a tenth of "
    "max_seconds. So the last step is published, whether or not an earlier one was better; a longer max_seconds, or "
    "fewer defect types, leaves a choice"
)
STEP_SECONDS = Histogram(
    "flawsmith_training_step_seconds",
    "Time of one training step, without evaluations, in seconds",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
STEPS_UNREAD = 20  # after so many steps at most, losses are read to see whether they are finite


@dataclass
class Run:
    """A job in training, between and within its segments.

    ``history`` holds the recorded steps: losses, and at evaluated steps the signals of `Trainer.evaluate`.
    """

    job: TrainingJob
    dataset_digest: str
    trainer: Trainer
    device: torch.device
    threads: int
    history: list[dict[str, float]] = field(default_factory=list)
    best: Best | None = None
    data_warnings: list[str] = field(default_factory=list)
    rollbacks: list[Rollback] = field(default_factory=list)
    trained_seconds: float = 0.0
    parts: TrainerParts | None = None  # that its trainer was built of, for the processes of several devices
    saved_step: int = 0  # of the checkpoint that it was restored from
    measured: Mapping[str, Tensor | float] = field(default_factory=dict)  # by the last step
    evaluation_due: bool = False  # for the last step
    awaits_steps: bool = False  # before the next one begins: else a GPU has up to `STEPS_UNREAD` of them ahead
    _preparation: Preparation | None = None  # of evaluations, begun in this process
    random_states: RandomStates | None = None  # the process's, as of when the run last left it

    def __post_init__(self) -> None:
        max_seconds = self.job.config.get("max_seconds")
        self.cadence, self.budget = Cadence(self.total_steps, max_seconds), EvaluationBudget(max_seconds)
        if max_seconds is not None and isinstance(self.trainer, TestsPhotographs):
            self.trainer.postpone_tests()

    @property
    def step(self) -> int:
        return self.trainer.completed_steps

    @property
    def total_steps(self) -> int:
        return int(self.job.config["total_steps"])

    @property
    def progress(self) -> float:
        """How far the run is, 0 to 1: the larger share of its steps and of its time."""
        of_time = self.trained_seconds / self.job.config["max_seconds"] if self.seconds_left < math.inf else 0.0
        return min(1.0, max(self.step / self.total_steps, of_time))

    @property
    def seconds_left(self) -> float:
        """Training time until the run must end; infinity without ``max_seconds``."""
        longest = self.job.config.get("max_seconds")
        return math.inf if longest is None else max(0.0, longest - self.trained_seconds)

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the run is over; None if it is not."""
        if self.step >= self.total_steps:
            return StopReason.COMPLETED
        if self.seconds_left == 0:
            return StopReason.MAX_SECONDS
        patience = self.job.config.get("patience")
        if patience is not None and evaluations_without_improvement(self.history) >= patience:
            return StopReason.PATIENCE
        return None

    @property
    def health(self) -> Health:
        """Samples are judged once the run is some way on, and at its end, however early."""
        progress = 1.0 if self.stop_reason else self.progress
        warnings = [*self.data_warnings, *([EVALUATED_AT_END] if self.evaluated_at_end else [])]
        return judge(warnings, [words for _, words in self.rollbacks], self.history, progress, MEASURES)

    @property
    def evaluated_at_end(self) -> bool:
        """Whether no step is evaluated but the last one, because of what that would take; known from step 2 on."""
        earlier = any(LEADING in point and point["step"] < self.step for point in self.history)
        return self.budget.max_seconds is not None and self.budget.preparation > 0 and self.step > 1 and not earlier

    @property
    def losses(self) -> dict[str, float]:
        """Of the last step. Reading them waits for it, so on a GPU do not read them at every step."""
        return {name: float(value) for name, value in self.measured.items()}

    @property
    def recorded(self) -> bool:
        """Whether the last step was recorded."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    @property
    def evaluated(self) -> bool:
        """Whether the last step was evaluated."""
        return self.recorded and LEADING in self.history[-1]

    def advance(self) -> bool:
        """Trains one step; returns whether it was recorded. Raises Diverged."""
        with STEP_SECONDS.time():
            self.measured = self.trainer.step(self.progress)
            if self.awaits_steps and self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
        due, evaluation_due = self.cadence.advance(self.step, self.progress)
        self.evaluation_due = evaluation_due and self._may_evaluate()
        if due or self.evaluation_due:
            recorded = self.record()
            self.evaluation_due = self.evaluation_due and recorded
            return recorded
        if self.step % STEPS_UNREAD == 0:
            self._roll_back_if_not_finite(self.losses)
        return False

    def train(self, evaluate: Callable[[], object]) -> bool:
        """Makes one step on the run's clock, and evaluates it where that is due; returns whether it was recorded.

        Args:
            evaluate: is called for an evaluation; `evaluate`, and whatever else is to be done then.

        Raises:
            Diverged: see `roll_back`.
        """
        begun = time.monotonic()
        self.test_photographs()
        recorded = self.advance()
        self.evaluation_due = self.evaluation_due and self._prepare_evaluation()
        if self.evaluation_due:
            with self.budget.measured_evaluation():
                evaluate()
        self.trained_seconds += time.monotonic() - begun
        return recorded

    def conclude(self, evaluate: Callable[[], object]) -> bool:
        """Evaluates the last step, so that it can be the best one; returns whether it was not evaluated before."""
        if self.evaluated or not (self.recorded or self.record()):
            return False
        self._prepare_evaluation(at_end=True)
        with self.budget.measured_evaluation():
            evaluate()
        return True

    def _may_evaluate(self) -> bool:
        """Whether there is time to evaluate the last step, by what is known of the cost."""
        unprepared = self._preparation.unprepared_types if self._preparation else 0
        return self.budget.may_prepare(unprepared) and self.budget.may_evaluate(self.trained_seconds)

    def _prepare_evaluation(self, *, at_end: bool = False) -> bool:
        """Computes what all evaluations need once, so that it is not taken for the cost of each of them.

        Returns:
            Whether all of it is there: one type shows what the others will cost, and they are left to the end of the
            run where there is no time for them.
        """
        if not isinstance(self.trainer, PreparesEvaluation):
            return True
        with self.budget.measured_preparation():
            self._preparation = self.trainer.prepare_evaluation()
        while self._preparation.unprepared_types:
            if not (at_end or self.budget.may_prepare(self._preparation.unprepared_types)):
                return False
            with self.budget.measured_type():
                self._preparation.prepare_next()
        return True

    def test_photographs(self) -> None:
        """In a run whose length is a time, makes a part of the tests that are left, if there is time for it."""
        trainer = self.trainer
        if self.budget.may_test() and isinstance(trainer, TestsPhotographs) and trainer.tests_pending:
            with self.budget.measured_test():
                trainer.test_next()

    def record(self) -> bool:
        """Records the last step; returns False and rolls back if a loss is not finite. Raises Diverged."""
        if self.rollbacks and self.rollbacks[-1][0] == self.step:
            return False
        losses = self.losses
        if self._roll_back_if_not_finite(losses):
            return False
        self.history.append({"step": self.step, **losses})
        return True

    def evaluate(self) -> dict[str, float]:
        """Measures the samples of a recorded step, and keeps its networks if none were better. Raises Diverged."""
        signals = self.trainer.evaluate()
        self.history[-1] |= signals
        if is_best(self.history):
            memorization_rate = signals.get(COPIES.name, 0.0)
            self.best = Best(self.step, signals[LEADING], memorization_rate, self.trainer.networks())
        last_rollback = self.rollbacks[-1][0] if self.rollbacks else 0
        if words := diverged(self.history, last_rollback, MEASURES):
            self._roll_back(words)
        return signals

    def analysis(self) -> dict[str, Any]:
        """What the trainer found out, by the names of the defect types."""
        classes = self.job.config["classes"]
        return {name: dict(zip(classes, each, strict=True)) for name, each in self.trainer.analysis().items()}

    def enter(self) -> None:
        """Gives this process the random states and settings that the run left the last one with."""
        choose_kernels(self.job.config.get("deterministic", False))
        torch.set_num_threads(self.threads)
        if self.random_states is None:
            seed_process(self.job.config["seed"])
        else:
            restore_random_states(*self.random_states, self.device)

    def leave(self) -> None:
        """Keeps what `enter` restores."""
        self.random_states = random_states(self.device)

    def _roll_back_if_not_finite(self, losses: dict[str, float]) -> bool:
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            self._roll_back(f"{', '.join(bad)} became NaN or infinite")
        return bool(bad)

    def _roll_back(self, why: str) -> None:
        roll_back(self.trainer, self.best, self.rollbacks, why)
        log.warning("job %s: %s", self.job.id, self.rollbacks[-1][1])
