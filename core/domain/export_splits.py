"""Which split of an export an image is in: a matter of its address alone, whatever else is exported."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"[a-z][a-z0-9_-]{0,31}"
Share = Annotated[float, Field(gt=0, le=1)]
TOLERANCE = 1e-6  # of the shares' sum
_RANGE = 2**64


def _checked(shares: dict[str, float]) -> dict[str, float]:
    for name in shares:
        if not re.fullmatch(NAME_PATTERN, name):
            known = "1 to 32 small letters, digits, '_' and '-', the first a letter, such as 'train'"
            raise PydanticCustomError(
                "split_name", "'{name}' is no name of a split; one has {known}", {"name": name[:64], "known": known}
            )
    total = sum(shares.values())
    if abs(total - 1) > TOLERANCE:
        raise PydanticCustomError("shares", "the shares sum to {total}; they must sum to 1", {"total": f"{total:g}"})
    return shares


Shares = Annotated[dict[str, Share], Field(min_length=1, max_length=8), AfterValidator(_checked)]
"""The share of each split, such as ``{"train": 0.8, "val": 0.2}``."""


def split_of(address: str, shares: Mapping[str, float]) -> str:
    """The split of the image at an address such as ``steel@2/17:scratches``.

    A hash of the address decides, so each split has about its share of the images, and an image stays in its split if
    more are exported later.
    """
    point = int.from_bytes(hashlib.sha256(address.encode()).digest()[:8]) / _RANGE
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if point < reached:
            return name
    return name  # the last one: the shares' sum is 1 but for rounding
