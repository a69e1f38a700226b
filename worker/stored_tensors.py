"""Reads safetensors files of a store, which need not be on the local disk."""

import json
from pathlib import Path

from safetensors.torch import load, load_file
from torch import Tensor

from flawsmith.core.store.interface import Place


def load_tensors(place: Place) -> dict[str, Tensor]:
    """All tensors of a file. Raises OSError, SafetensorError."""
    return load_file(place) if isinstance(place, Path) else load(place.read_bytes())


def metadata_of(content: bytes) -> dict[str, str]:
    """The metadata in a file's header: 8 bytes with its length, little-endian, then JSON. Raises ValueError."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    found: dict[str, str] = header.get("__metadata__", {})
    return found
