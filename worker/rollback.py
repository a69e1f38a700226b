"""Returns a run that diverged to its best networks, a limited number of times."""

from flawsmith.models.training.trainer import Trainer
from flawsmith.worker.best_step import Best

MAX_ROLLBACKS = 2

Rollback = tuple[int, str]
"""The step at which a run was rolled back, and why, in words."""


class Diverged(Exception):
    """The run diverged more often than `MAX_ROLLBACKS`, or before it had networks to return to."""


def roll_back(trainer: Trainer, best: Best | None, rollbacks: list[Rollback], why: str) -> None:
    """Loads the best networks, reduces the learning rate, and appends to ``rollbacks``.

    Raises:
        Diverged: there is nothing to return to, or too many rollbacks are behind the run.
    """
    step = trainer.completed_steps
    if best is None or len(rollbacks) >= MAX_ROLLBACKS:
        tried = f" after going back {len(rollbacks)} times" if rollbacks else ""
        kept = f"the best networks, of step {best.step}, are in its checkpoints" if best else ""
        raise Diverged(
            f"{why} at step {step}{tried}; {kept or 'there is nothing to go back to'}. "
            "Lower the learning rates, or try another seed."
        )
    trainer.load_networks(best.networks)
    trainer.reduce_learning_rate()
    words = f"{why} at step {step}: went back to step {best.step}, more gently"
    rollbacks.append((step, f"{words} ({len(rollbacks) + 1} of at most {MAX_ROLLBACKS})"))
