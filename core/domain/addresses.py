"""Image addresses: (model version, defect type, seed). The same address is the same bytes for ever."""

import time
from dataclasses import dataclass

SEEDS = 2**53  # a seed is 0 … SEEDS - 1: every JSON reader keeps such integers exactly
FIRST_OWN_SEED = 2**52  # the service takes its own seeds from the upper half; callers may use all seeds

_EPOCH = 1767225600  # 2026-01-01T00:00:00Z, in Unix seconds
_SEEDS_A_MILLISECOND = 2**10


@dataclass(frozen=True)
class Address:
    """The address of an image within a model version."""

    defect_type: str
    seed: int

    def __str__(self) -> str:
        """``seed:type``, the form in Redis."""
        return f"{self.seed}:{self.defect_type}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address that `str` turned into this text."""
        seed, _, defect_type = text.partition(":")
        return cls(defect_type, int(seed))


def seeded(classes: list[str], defect_type: str | None, seed: int, count: int) -> list[Address]:
    """The addresses of the seeds seed … seed + count - 1. Without a type, a seed's type is seed modulo their number."""
    return [Address(defect_type or classes[each % len(classes)], each) for each in range(seed, seed + count)]


def seed_floor() -> int:
    """A seed above every seed that the service has given out before now.

    A Redis server that restarted may have lost its last counts, and one that was wiped has lost all of them. The floor
    needs no counts: it grows with the clock by 1,024 seeds per millisecond, faster than any generator makes images.
    """
    return FIRST_OWN_SEED + int((time.time() - _EPOCH) * 1000) * _SEEDS_A_MILLISECOND
