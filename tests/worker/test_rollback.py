"""A run that diverged returns to its best networks."""

from typing import Any

import pytest

from flawsmith.worker.best_step import Best
from flawsmith.worker.rollback import MAX_ROLLBACKS, Diverged, Rollback, roll_back

BEST = Best(step=40, distance=0.1, memorization_rate=0.0, networks={"generator": {}, "discriminator": {}})


class RecordingTrainer:
    """Notes what is asked of it."""

    def __init__(self, completed_steps: int) -> None:
        self.completed_steps, self.calls = completed_steps, list[Any]()

    def load_networks(self, networks: Any) -> None:
        self.calls.append(networks)

    def reduce_learning_rate(self) -> None:
        self.calls.append("reduce")


def test_it_loads_the_best_networks_and_trains_more_gently() -> None:
    trainer, rollbacks = RecordingTrainer(completed_steps=60), list[Rollback]()
    roll_back(trainer, BEST, rollbacks, "generator_loss became NaN or infinite")  # type: ignore[arg-type]
    assert trainer.calls == [BEST.networks, "reduce"]
    assert rollbacks == [
        (60, "generator_loss became NaN or infinite at step 60: went back to step 40, more gently (1 of at most 2)")
    ]


def test_it_gives_up_without_best_networks_and_after_the_last_rollback() -> None:
    trainer = RecordingTrainer(completed_steps=60)
    with pytest.raises(Diverged, match="NaN at step 60; there is nothing to go back to"):
        roll_back(trainer, None, [], "NaN")  # type: ignore[arg-type]
    with pytest.raises(
        Diverged, match="after going back 2 times; the best networks, of step 40, are in its checkpoints"
    ):
        roll_back(trainer, BEST, [(50, "")] * MAX_ROLLBACKS, "NaN")  # type: ignore[arg-type]
    assert trainer.calls == []
