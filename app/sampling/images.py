"""The images that answer a request."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import Range
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.reference_photographs import Nearest

Availability = Literal["hit", "partial", "miss"]
"""Whether all, some or none of the images were ready in the image pool or the cache."""


class Images(NamedTuple):
    """Images of one version.

    Attributes:
        pngs: empty where the request asked for addresses only.
        refused: how many images were too near to a training photograph and were redrawn; None: none was compared.
        nearest: the nearest training photograph of each image; empty where the request did not ask for it.
        below_floor: images that are below the version's quality floor, with their scores; they have no PNG.
        not_found: addresses none of whose candidates has their attributes, with what the candidates have.
    """

    version: ModelVersion
    addresses: Sequence[Address]
    pngs: list[bytes]
    availability: Availability
    refused: int | None = None
    nearest: Sequence[Nearest] = ()
    below_floor: Mapping[Address, float] = MappingProxyType({})
    not_found: Mapping[Address, Mapping[str, Range]] = MappingProxyType({})
