"""The images that answer a request."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion

Availability = Literal["hit", "partial", "miss"]
"""Whether all, some or none of the images were ready in the image pool or the cache."""


class Images(NamedTuple):
    """Images of one version. Without pixels (the request asked for addresses only), ``pngs`` is empty."""

    version: ModelVersion
    addresses: Sequence[Address]
    pngs: list[bytes]
    availability: Availability
