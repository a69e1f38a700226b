"""A trainer whose steps several processes make together."""

from typing import Any

from torch import Tensor

from flawsmith.models.training.trainer import (
    Networks,
    Preparation,
    PreparesEvaluation,
    PreviewsMasks,
    TestsPhotographs,
    Trainer,
)
from flawsmith.worker.devices.rank_group import RankGroup


class SpreadTrainer:
    """A `Trainer`: the ranks make its steps, and the trainer of this process does everything else, at their state.

    So evaluations, previews and checkpoints are those of a run on one device. A state passes between the two only when
    one of them needs what the other changed.

    Args:
        alone: this process's trainer, at the state from which the ranks go on.
        group: the ranks.
    """

    def __init__(self, alone: Trainer, group: RankGroup) -> None:
        self.alone, self.group = alone, group
        self.completed_steps = alone.completed_steps
        self._ahead, self._behind = False, True  # the ranks, of the trainer of this process

    @property
    def ahead(self) -> bool:
        """Whether the ranks made steps that `alone` does not have."""
        return self._ahead

    @property
    def batch_size(self) -> int:
        return self.alone.batch_size

    @property
    def steps_per_epoch(self) -> int:
        return self.alone.steps_per_epoch

    def step(self, progress: float) -> dict[str, Tensor]:
        """As `Trainer.step`; raises as `RankGroup.step`."""
        if self._behind:
            self.group.load(self.alone.state_dict())
            self._behind = False
        self._ahead = True
        measured = self.group.step(progress)
        self.completed_steps += 1
        return measured

    def whole(self) -> Trainer:
        """The trainer of this process, with the steps that the ranks made."""
        if self._ahead:
            self.alone.load_state_dict(self.group.state())
            self._ahead = False
        return self.alone

    def preview(self) -> Tensor:
        return self.whole().preview()

    def preview_masks(self) -> Tensor | None:
        whole = self.whole()
        return whole.preview_masks() if isinstance(whole, PreviewsMasks) else None

    def prepare_evaluation(self) -> Preparation:
        whole = self.whole()
        return whole.prepare_evaluation() if isinstance(whole, PreparesEvaluation) else _Prepared()

    def evaluate(self) -> dict[str, float]:
        return self.whole().evaluate()

    def postpone_tests(self) -> None:
        if isinstance(self.alone, TestsPhotographs):
            self._changing().postpone_tests()

    @property
    def tests_pending(self) -> bool:
        """Steps make no tests, so that the trainer of this process knows."""
        return isinstance(self.alone, TestsPhotographs) and self.alone.tests_pending

    def test_next(self) -> None:
        if isinstance(self.alone, TestsPhotographs):
            self._changing().test_next()

    def reduce_learning_rate(self) -> None:
        self._changing().reduce_learning_rate()

    def analysis(self) -> dict[str, Any]:
        return self.whole().analysis()

    def networks(self) -> Networks:
        return self.whole().networks()

    def load_networks(self, networks: Networks) -> None:
        self._changing().load_networks(networks)

    def state_dict(self) -> dict[str, Tensor]:
        return self.whole().state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.alone.load_state_dict(state)
        self.completed_steps = self.alone.completed_steps
        self._ahead, self._behind = False, True

    def _changing(self) -> Any:
        """`whole`, whose state the ranks then lack; the caller knows that it has the method."""
        self._behind = True
        return self.whole()


class _Prepared:
    """A `Preparation` that is complete."""

    unprepared_types = 0

    def prepare_next(self) -> None:
        """There is nothing to prepare."""
