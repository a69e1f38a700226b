"""The file ``generator.safetensors`` of a published version: weights, and in the metadata what they take to sample."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from flawsmith.worker.published_generator import PublishedGenerator

METADATA_KEY = "flawsmith"  # a single one: safetensors writes several in any order, and the same job is the same bytes
ESSENTIALS = ("preset", "classes", "resolution", "mode", "config", "precision", "qualified_on")
"""Fields of `ModelVersion` in the metadata, a JSON object; beside them stands ``"synthetic": true``."""


def save_generator(weights: dict[str, Tensor], path: Path, card: Mapping[str, Any]) -> str:
    """Writes the file; returns the SHA-256 of the safetensors serialisation of the weights without metadata.

    Args:
        weights: of the generator.
        path: of the file.
        card: fields of `ModelVersion`, at least `ESSENTIALS`.
    """
    essentials = {name: card[name] for name in ESSENTIALS} | {"synthetic": True}
    save_file(weights, path, metadata={METADATA_KEY: json.dumps(essentials, sort_keys=True)})
    return hashlib.sha256(save(weights)).hexdigest()


def load_generator(
    path: str | Path, card: Mapping[str, Any] | None = None, device: str | torch.device | None = None
) -> PublishedGenerator:
    """Loads a published generator, to sample it without the service.

    ``generator.sample(seed, defect_type)`` gives the pixels of the PNG that POST /generate answers for that seed of
    that version, on the same kind of device.

    Args:
        path: of ``generator.safetensors``, or of what GET /models/NAME/versions/V/weights.safetensors answers.
        card: the answer of GET /models/NAME/versions/V. Only files from before the metadata need it.
        device: where to sample, such as ``"cpu"``; None: CUDA where there is one. CUDA sets torch's switches for
            reproducible float32 in this process.

    Raises:
        ValueError: the file has no metadata and no ``card`` was given, or the card lacks a field.
        SafetensorError, OSError: the file cannot be read.
        UnfitFiles: the weights are those of another network than the card says.
    """
    essentials = card if card is not None else _read_metadata(Path(path))
    missing = [name for name in ESSENTIALS if name not in essentials]
    if missing:
        raise ValueError(f"the card lacks {', '.join(missing)}; give the whole answer of GET /models/NAME/versions/V")
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return generator_of(load_file(path), essentials, torch.device(device))


def generator_of(
    weights: Mapping[str, Tensor], essentials: Mapping[str, Any], device: torch.device
) -> PublishedGenerator:
    """The generator with these weights.

    Args:
        weights: of the file.
        essentials: fields of `ModelVersion`, at least `ESSENTIALS`.
        device: where it samples.

    Raises:
        UnfitFiles: the weights are of another network.
    """
    return PublishedGenerator(
        weights,
        preset=essentials["preset"],
        config=essentials["config"],
        classes=essentials["classes"],
        precision=essentials["precision"],
        qualified_on=essentials["qualified_on"],
        device=device,
    )


def _read_metadata(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    if METADATA_KEY not in metadata:
        raise ValueError(
            f"{path} has no Flawsmith metadata: an earlier release published it, or it is no generator of Flawsmith."
            " Give its version's card: load_generator(path, card=the JSON that GET /models/NAME/versions/V answers)"
        )
    essentials: dict[str, Any] = json.loads(metadata[METADATA_KEY])
    return essentials
