"""Image addresses: (model version, defect type, seed)."""

import time
from dataclasses import dataclass

SEEDS = 2**53  # a seed is 0 … SEEDS - 1: what every JSON reader keeps exactly
FIRST_OWN_SEED = 2**52  # the upper half is the service's; callers choose from all

_EPOCH = 1767225600  # 2026-01-01T00:00:00Z, in Unix seconds
_SEEDS_A_MILLISECOND = 2**10


@dataclass(frozen=True)
class Address:
    """One image's place within a model version; the same address is the same bytes for ever."""

    defect_type: str
    seed: int

    def __str__(self) -> str:
        """``seed:type``, as Redis keeps it."""
        return f"{self.seed}:{self.defect_type}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Of what `str` gave."""
        seed, _, defect_type = text.partition(":")
        return cls(defect_type, int(seed))


def seeded(classes: list[str], defect_type: str | None, seed: int, count: int) -> list[Address]:
    """The images seed … seed + count - 1; without a type, a seed's type is its turn, alone or among hundreds."""
    return [Address(defect_type or classes[each % len(classes)], each) for each in range(seed, seed + count)]


def seed_floor() -> int:
    """Above every seed that a server can have given out before now, whatever it has forgotten.

    A server that restarted may have lost its last counts, and one that was wiped all of them. The floor grows with the
    clock by 1,024 seeds a millisecond, faster than any generator makes images.
    """
    return FIRST_OWN_SEED + int((time.time() - _EPOCH) * 1000) * _SEEDS_A_MILLISECOND
