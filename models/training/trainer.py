"""What every training run can do, whatever its preset."""

from typing import Any, Protocol

from torch import Tensor

Networks = dict[str, dict[str, Tensor]]


class Trainer(Protocol):
    """A training run without its I/O.

    Everything random comes from one CPU generator whose state is part of `state_dict`, whatever the device: a run that
    is saved and loaded goes on as if it had never stopped.
    """

    completed_steps: int

    @property
    def batch_size(self) -> int:
        """Photographs in one step."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which as many photographs are shown as there are."""

    def step(self, progress: float) -> dict[str, Tensor]:
        """One update of both networks.

        Args:
            progress: how far the run is, 0 to 1, which its schedules follow.

        Returns:
            The losses and what else is worth watching, () float32 each, where the networks live: who reads one waits
            for the step to be done.
        """

    def preview(self) -> Tensor:
        """The same latents at every step, `PREVIEW_COLUMNS` a defect type: (types * columns, C, H, W) uint8."""

    def evaluate(self) -> dict[str, float]:
        """Signals of the run's state, the same for the same state; looking changes nothing.

        Among them ``distance``, how far images are from the photographs, which checkpoints are chosen by, and what
        `Evaluator` tells.
        """

    def reduce_learning_rate(self) -> None:
        """Trains more gently from here on, as after a divergence; part of `state_dict`."""

    def analysis(self) -> dict[str, Any]:
        """What was found out about the photographs and decided by it, for the card of what is trained; JSON."""

    def networks(self) -> Networks:
        """``generator`` (the one to draw with) and ``discriminator``: a copy of their weights on the CPU."""

    def load_networks(self, networks: Networks) -> None:
        """Takes over what `networks` of a run with the same shape gave; optimisers and random state stay as they are.

        Raises:
            KeyError, RuntimeError: the weights are of another shape.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """The whole run, flat: networks, optimisers, random state, data order and position."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes over a state that `state_dict` of a run with the same configuration gave.

        Raises:
            KeyError, RuntimeError: the state is of another configuration.
        """
