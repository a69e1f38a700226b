"""The images of known addresses, as a digest: whether another machine still makes the same ones."""

import re

from flawsmith.core.domain.addresses import Address, seeded
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import Record


class KnownImages(Record):
    """SHA-256 of the pixels of `known_addresses`, one after the other, in one environment."""

    environment: str
    sha256: str


def known_addresses(classes: list[str]) -> list[Address]:
    """A micro-batch of fixed addresses, the types in turn."""
    return seeded(classes, None, 0, MICRO_BATCH)


def environment_name(device_kind: str, torch_version: str) -> str:
    """What may decide the bytes, as a name of 64 characters at most: ``cpu-avx512_bf16-torch-2.8.0-cpu``."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", f"{device_kind}-torch-{torch_version}")[:64]
