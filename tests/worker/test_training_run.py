"""What a training run records, when it rolls back, and when it is over."""

import math
from dataclasses import replace
from typing import cast

import pytest
import torch
from tests.worker.runs import ScriptedTrainer, run_of

from flawsmith.core.domain.job_kinds.training import StopReason
from flawsmith.models.training.trainer import Trainer
from flawsmith.worker.rollback import Diverged
from flawsmith.worker.training_run import STEPS_UNREAD, Run


def scripted(trainer: ScriptedTrainer, **config: object) -> Run:
    return run_of(cast(Trainer, trainer), **config)


def train(run: Run, until: int) -> None:
    while run.step < until and not run.stop_reason:
        run.advance()
        if run.evaluation_due:
            run.evaluate()


def test_it_keeps_the_networks_of_the_nearest_evaluation() -> None:
    run = scripted(ScriptedTrainer(distances=[0.9, 0.3, 0.8, 0.31]))
    train(run, until=12)
    assert [(point["step"], point["distance"]) for point in run.history if "distance" in point] == [
        (1, 0.9), (4, 0.3), (8, 0.8), (12, 0.31)
    ]  # fmt: skip
    assert run.best is not None
    assert run.best.step == 12  # as near as step 4, but for chance


def test_a_loss_that_is_nan_rolls_it_back_and_is_not_recorded() -> None:
    trainer = ScriptedTrainer(losses={10: math.nan}, distances=[0.9, 0.3, 0.4, 0.5])
    run = scripted(trainer)
    train(run, until=12)
    assert trainer.loaded == [4]
    assert 10 not in [point["step"] for point in run.history]
    assert "generator_loss became NaN or infinite at step 10: went back to step 4" in run.health.reasons[0]


@pytest.mark.parametrize(("awaits", "awaited"), [(True, 3), (False, 0)])
def test_where_sampling_shares_its_gpu_each_step_ends_within_its_time(
    awaits: bool, awaited: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = list[torch.device]()
    monkeypatch.setattr(torch.cuda, "synchronize", devices.append)
    run = replace(scripted(ScriptedTrainer()), device=torch.device("cuda:1"), awaits_steps=awaits)
    for _ in range(3):
        run.advance()
    assert devices == [torch.device("cuda:1")] * awaited


def test_a_long_run_reads_its_losses_now_and_then_between_recorded_steps() -> None:
    run = scripted(ScriptedTrainer(losses={STEPS_UNREAD: math.inf}), total_steps=1_000_000)
    with pytest.raises(Diverged, match=f"infinite at step {STEPS_UNREAD}; there is nothing to go back to"):
        for _ in range(STEPS_UNREAD):
            run.advance()


def test_samples_that_go_away_roll_it_back() -> None:
    trainer = ScriptedTrainer(distances=[0.02, 5, 6, 7])
    run = scripted(trainer)
    train(run, until=12)
    assert trainer.loaded == [1]
    assert run.rollbacks[0][1].startswith("samples went away from the photographs: their distance was 0.02, and is 7")


def test_it_is_over_after_its_steps_its_seconds_or_its_patience() -> None:
    run = scripted(ScriptedTrainer(distances=[0.5] * 60))
    train(run, until=1000)
    assert (run.step, run.stop_reason) == (200, StopReason.COMPLETED)
    run = scripted(ScriptedTrainer(), max_seconds=10.0)
    assert run.stop_reason is None
    run.trained_seconds = 10.0
    assert run.stop_reason == StopReason.MAX_SECONDS
    run = scripted(ScriptedTrainer(distances=[0.5, 0.2, 0.3, 0.3, 0.3]), patience=3)
    train(run, until=1000)
    assert (run.step, run.stop_reason) == (16, StopReason.PATIENCE)
