"""Where the defects of a composition job come from, and the patches that each block of seeds draws from.

There may be more defects than fit into memory. So a block of seeds has a library of its own, a bounded choice that the
block's number alone determines: whatever else is made, a seed finds the same patches.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from flawsmith.core.domain.digital_source_type import DigitalSourceType
from flawsmith.models.compositions import Patch, Rules, measured_rules

BLOCK = 256  # seeds that have one library
MOST_BYTES = 192 * 2**20  # of a library's patches
FEWEST_WHOLE = 8  # defects of a type within their pictures, with which those that a border cuts off are left out


class CannotPlace(Exception):
    """So few compositions can be made that the job would not come to an end."""


class DefectSource(ABC):
    """The defects of a job.

    Attributes:
        title: what they are of.
        source_type: the origin of a photograph with them.
    """

    title: str
    source_type: ClassVar[DigitalSourceType]

    @abstractmethod
    def patches(self, block: int) -> Iterator[list[Patch]]:
        """The patches of a block's library, some with each step, perhaps none; a step takes at most a second.

        Raises:
            CannotPlace: there are none; the message says why and what would be right.
        """

    @abstractmethod
    def describe(self, source: str) -> dict[str, Any]:
        """Where the patch of this source is from, as JSON."""


class PatchLibrary:
    """The patches of a block, made step by step.

    Args:
        defects: that they are of.
        block: its number.
    """

    def __init__(self, defects: DefectSource, block: int) -> None:
        self.block, self.patches, self.rules = block, list[Patch](), dict[str, Rules]()
        self.ready = False
        self._steps = defects.patches(block)

    def load_next(self) -> None:
        """Makes some patches; after the last ones, measures how they may be turned and scaled. Raises CannotPlace."""
        made = next(self._steps, None)
        if made is None:
            self.rules, self.ready = measured_rules(self.patches), True
        else:
            self.patches += made


def held_addresses(parts: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """The addresses of the generated images among the parts of a composition: version, defect type and seed."""
    return [(each["model"], each["defect_type"], each["seed"]) for each in parts if "model" in each]
