"""A run is restored from its checkpoint as it was."""

import json
from typing import Any

import pytest
import torch
from tests.worker.runs import run_of, small_trainer

from flawsmith.worker.checkpoints import Checkpoint
from flawsmith.worker.run_checkpoint import identity, restore, to_checkpoint
from flawsmith.worker.training_run import Run


def saved(run: Run) -> Checkpoint:
    """Its checkpoint, after the round trip of its fields through JSON."""
    checkpoint = to_checkpoint(run)
    fields: dict[str, Any] = {name: value for name, value in vars(checkpoint).items() if name != "state"}
    state = {name: value.detach().clone() for name, value in checkpoint.state.items()}
    return Checkpoint(**json.loads(json.dumps(fields)), state=state)


def train(run: Run, steps: int) -> None:
    for _ in range(steps):
        run.advance()
        if run.evaluation_due:
            run.evaluate()


def test_a_restored_run_continues_as_if_it_had_never_stopped() -> None:
    whole, first, rest = (run_of(small_trainer()) for _ in range(3))
    train(whole, 14)
    train(first, 7)
    first.rollbacks.append((3, "NaN"))
    restore(rest, saved(first))
    train(rest, 7)
    assert rest.rollbacks == [(3, "NaN")]
    assert rest.history == whole.history
    assert (rest.best and rest.best.step) == (whole.best and whole.best.step)
    expected = to_checkpoint(whole).state
    actual = to_checkpoint(rest).state
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[name], value) for name, value in expected.items() if not name.startswith("process."))


@pytest.mark.parametrize(("deterministic", "threads"), [(True, 3), (False, 1)])
def test_only_a_deterministic_run_keeps_the_threads_of_its_checkpoint(
    deterministic: bool, threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    first = run_of(small_trainer(), threads=3)
    train(first, 1)
    rest = run_of(small_trainer(), deterministic=deterministic)
    restore(rest, saved(first))
    assert rest.threads == threads
    assert "made with 3 CPU threads, this worker has 1" in caplog.text


def test_another_configuration_or_dataset_has_another_identity() -> None:
    run, other = run_of(small_trainer()), run_of(small_trainer(), seed=1)
    assert identity(run.job, "d") == identity(run.job, "d")
    assert identity(run.job, "d") != identity(other.job, "d")
    assert identity(run.job, "d") != identity(run.job, "e")
