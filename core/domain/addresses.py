"""Image addresses: (model version, defect type, seed), and attributes where they are given.

The same address is the same bytes for ever.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flawsmith.core.domain.attributes import Attributes, attributes_text, from_json, parse_attributes, to_json

SEEDS = 2**53  # a seed is 0 … SEEDS - 1: every JSON reader keeps such integers exactly
FIRST_OWN_SEED = 2**52  # the service takes its own seeds from the upper half; callers may use all seeds

_EPOCH = 1767225600  # 2026-01-01T00:00:00Z, in Unix seconds
_SEEDS_A_MILLISECOND = 2**10


@dataclass(frozen=True)
class Address:
    """The address of an image within a model version."""

    defect_type: str
    seed: int
    attributes: Attributes = ()

    def __str__(self) -> str:
        """``seed:type`` or ``seed?attributes:type``, the form in Redis."""
        if self.attributes:
            return f"{self.seed}?{attributes_text(self.attributes)}:{self.defect_type}"
        return f"{self.seed}:{self.defect_type}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address that `str` turned into this text."""
        place, _, defect_type = text.partition(":")
        seed, _, attributes = place.partition("?")
        return cls(defect_type, int(seed), parse_attributes(attributes) if attributes else ())

    @property
    def plain(self) -> "Address":
        """The address of the same type and seed without attributes."""
        return Address(self.defect_type, self.seed) if self.attributes else self

    def to_json(self) -> dict[str, Any]:
        """``defect_type``, ``seed`` and, where some are given, ``attributes``."""
        fields: dict[str, Any] = {"defect_type": self.defect_type, "seed": self.seed}
        return {**fields, "attributes": to_json(self.attributes)} if self.attributes else fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Address":
        """The address that `to_json` turned into these fields."""
        return cls(fields["defect_type"], fields["seed"], from_json(fields.get("attributes", {})))


def seeded(
    classes: list[str], defect_type: str | None, seed: int, count: int, attributes: Attributes = ()
) -> list[Address]:
    """The addresses of the seeds seed … seed + count - 1. Without a type, a seed's type is seed modulo their number."""
    seeds = range(seed, seed + count)
    return [Address(defect_type or classes[each % len(classes)], each, attributes) for each in seeds]


def seed_floor() -> int:
    """A seed above every seed that the service has given out before now.

    A Redis server that restarted may have lost its last counts, and one that was wiped has lost all of them. The floor
    needs no counts: it grows with the clock by 1,024 seeds per millisecond, faster than any generator makes images.
    """
    return FIRST_OWN_SEED + int((time.time() - _EPOCH) * 1000) * _SEEDS_A_MILLISECOND
