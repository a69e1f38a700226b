"""Which symmetries a `fewshot` run uses for each defect type, and how it augments a batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from flawsmith.models.training.augmentation import (
    AugmentationParameters,
    Strength,
    Symmetries,
    sample_augmentation,
)
from flawsmith.models.training.symmetries import NOT_TESTED, PENDING, SYMMETRIES, symmetry_p_values, usable_symmetries


class AugmentationPolicy:
    """Uses the symmetries that the configuration names; where it names none, those that the photographs pass.

    Args:
        strength: how far images are changed.
        side: of the images, in pixels.
        configured: for each of `SYMMETRIES` whether to use it; None leaves it to the test.
        photographs: returns the photographs trained on, (N, C, side, side) uint8, for each type.
    """

    def __init__(
        self,
        strength: Strength,
        side: int,
        configured: Mapping[str, bool | None],
        photographs: Callable[[], Sequence[Tensor]],
    ) -> None:
        self.strength, self.side, self.configured = strength, side, configured
        self._photographs = photographs
        self._p_values: Tensor | None = None

    @property
    def p_values(self) -> Tensor:
        """Of each type's symmetries, (types, 3) float64. Tested on first use: a resumed run loads them instead.

        Where the configuration decides on every symmetry, nothing is tested.
        """
        if self._p_values is None:
            p_values = _not_tested if self._decided else symmetry_p_values
            self._p_values = torch.stack([p_values(each) for each in self._photographs()])
        return self._p_values

    @p_values.setter
    def p_values(self, p_values: Tensor) -> None:
        self._p_values = p_values

    @property
    def _decided(self) -> bool:
        """Whether the configuration decides on every symmetry."""
        return all(each is not None for each in self.configured.values())

    def postpone(self) -> None:
        """Leaves the tests to `test_next`, unless they were made."""
        if self._p_values is None:
            types = len(self._photographs())
            left = NOT_TESTED if self._decided else PENDING
            self._p_values = torch.full((types, len(SYMMETRIES)), left, dtype=torch.float64)

    @property
    def pending(self) -> list[int]:
        """The types whose postponed tests have not been made."""
        return [] if self._p_values is None else (self._p_values == PENDING).any(1).nonzero().flatten().tolist()

    def test_next(self) -> None:
        """Makes the postponed tests of one type, if any are left."""
        for of_type in self.pending[:1]:
            self.p_values[of_type] = symmetry_p_values(self._photographs()[of_type])

    @property
    def used(self) -> Tensor:
        """Which symmetries each type uses: (types, 3) bool."""
        used = usable_symmetries(self.p_values)
        for column, name in enumerate(SYMMETRIES):
            configured = self.configured[name]
            if configured is not None:
                used[:, column] = configured
        return used

    def sample(self, type_index: Tensor, random: torch.Generator) -> AugmentationParameters:
        """Draws a batch's augmentation for images of these types, (B,) int64 on the CPU."""
        return sample_augmentation(type_index, self.side, self.strength, Symmetries(*self.used.T), random)

    def analysis(self) -> list[dict[str, Any]]:
        """For each type and symmetry, whether it is used and its p-value; None where it was not tested."""
        return [
            {
                name: {"used": used, "p_value": None if p_value < 0 else round(p_value, 4)}
                for name, used, p_value in zip(SYMMETRIES, *of_type, strict=True)
            }
            for of_type in zip(self.used.tolist(), self.p_values.tolist(), strict=True)
        ]


def _not_tested(_photographs: Tensor) -> Tensor:
    return torch.full((len(SYMMETRIES),), NOT_TESTED, dtype=torch.float64)
