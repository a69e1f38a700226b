"""What every preset's trainer can do."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

Networks = dict[str, dict[str, Tensor]]


class Trainer(Protocol):
    """A training run without its I/O.

    All random numbers come from one CPU generator whose state is part of `state_dict`, whatever the device: a run that
    is saved and loaded continues as if it had never stopped.
    """

    completed_steps: int

    @property
    def batch_size(self) -> int:
        """Photographs in one step."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps that show as many photographs as the dataset has."""

    def step(self, progress: float) -> dict[str, Tensor]:
        """Updates both networks once.

        Args:
            progress: how far the run is, 0 to 1; schedules follow it.

        Returns:
            Losses and the signals of the step, () float32 each, on the networks' device: reading one waits for the
            step to finish.
        """

    def preview(self) -> Tensor:
        """Samples of fixed latents, `PREVIEW_COLUMNS` a defect type: (types * columns, C, H, W) uint8."""

    def evaluate(self) -> dict[str, float]:
        """Measures the generator by all quality measures that apply, see `Evaluator`.

        Deterministic, and changes nothing about the run.
        """

    def reduce_learning_rate(self) -> None:
        """Trains more gently from now on, as after a divergence. Part of `state_dict`."""

    def analysis(self) -> dict[str, Any]:
        """What the trainer found out about the photographs and decided, for the model's card.

        JSON: by the name of the finding, a list with an entry for each type.
        """

    def networks(self) -> Networks:
        """A copy of the weights of ``generator`` (the one to sample with) and ``discriminator``, on the CPU."""

    def load_networks(self, networks: Networks) -> None:
        """Loads what `networks` returned for the same configuration; optimisers and random state stay as they are.

        Raises:
            KeyError, RuntimeError: the weights have another shape.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """The whole run, flat: networks, optimisers, random state, data order and position."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Loads what `state_dict` returned for the same configuration.

        Raises:
            KeyError, RuntimeError: the state is of another configuration.
        """


@runtime_checkable
class StartsFromPrior(Protocol):
    """A trainer that can begin with a prior's weights."""

    def load_prior(self, prior: Networks) -> None:
        """Takes over a prior's weights; what belongs to defect types and photographs stays as it is.

        Raises:
            KeyError, RuntimeError: the weights have another shape.
        """


@runtime_checkable
class PreviewsMasks(Protocol):
    """A trainer that may learn masks together with the images."""

    def preview_masks(self) -> Tensor | None:
        """The masks of `Trainer.preview`'s samples: (types * columns, 1, H, W) uint8, 255 for the defect; None of a
        run without masks."""


@runtime_checkable
class PreparesEvaluation(Protocol):
    """A trainer whose first evaluation takes longer than others, unless it is prepared."""

    def prepare_evaluation(self) -> "Preparation":
        """Computes once what every `Trainer.evaluate` needs of all photographs together; the rest is for the caller."""


class Preparation(Protocol):
    """What evaluations need once, type by type; an evaluation computes whatever is left of it."""

    @property
    def unprepared_types(self) -> int:
        """Defect types for which `prepare_next` has still to be called."""

    def prepare_next(self) -> None:
        """Computes what evaluations need of one more defect type. All take about as long."""


@runtime_checkable
class TrainsInShares(Protocol):
    """A trainer whose steps several processes can make together."""

    def share(self, rank: int, count: int) -> None:
        """Has steps compute with one of ``count`` shares of each batch, see `OneOfSeveral`; for good.

        Each of the processes has a trainer of the same configuration, photographs and state, and makes the same calls.
        """


@runtime_checkable
class TestsPhotographs(Protocol):
    """A trainer that tests the photographs, at its first step unless the tests are postponed."""

    def postpone_tests(self) -> None:
        """Has `test_next` make the tests, part by part. What is not tested yet is trained on cautiously."""

    @property
    def tests_pending(self) -> bool:
        """Whether postponed tests are left. Part of `Trainer.state_dict`."""

    def test_next(self) -> None:
        """Makes a part of the postponed tests, those of one defect type."""
