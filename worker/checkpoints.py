"""Checkpoints of a training run in the artifact store: safetensors and JSON, whole or not there."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from core.artifacts import AlreadyPublished, ArtifactStore

log = logging.getLogger(__name__)

KEPT = 3


@dataclass(frozen=True)
class Checkpoint:
    """A run at a step: its flat state and the history of its losses up to there."""

    step: int
    state: dict[str, Tensor]
    history: list[dict[str, float]]


def save_checkpoint(store: ArtifactStore, job_id: str, checkpoint: Checkpoint) -> None:
    """Publishes a checkpoint in one step, then drops all but the newest `KEPT`."""
    folder = _folder(store, job_id)
    with store.staged() as staged:
        weights = staged / "state.safetensors"
        save_file({name: tensor.detach().contiguous() for name, tensor in checkpoint.state.items()}, weights)
        card = {"step": checkpoint.step, "sha256": _digest(weights), "history": checkpoint.history}
        (staged / "checkpoint.json").write_text(json.dumps(card))
        try:
            store.publish(staged, folder / f"{checkpoint.step:09d}")
        except AlreadyPublished:  # an earlier run of the same segment came as far: the same step is the same state
            return
    for old in sorted(folder.iterdir())[:-KEPT]:
        store.delete(old)


def newest_checkpoint(store: ArtifactStore, job_id: str) -> Checkpoint | None:
    """The newest whole checkpoint; a damaged one is passed over for the one before, and said so."""
    folder = _folder(store, job_id)
    for place in sorted(folder.iterdir(), reverse=True) if folder.exists() else []:
        try:
            return _read(place)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            log.warning("checkpoint %s of %s is damaged (%s); taking the one before", place.name, job_id, error)
    return None


def _read(place: Path) -> Checkpoint:
    card: dict[str, Any] = json.loads((place / "checkpoint.json").read_bytes())
    data = (place / "state.safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise ValueError("its checksum is not the one written with it")
    return Checkpoint(card["step"], load(data), card["history"])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(store: ArtifactStore, job_id: str) -> Path:
    return store.path("jobs", job_id, "checkpoints")
