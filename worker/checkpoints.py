"""Checkpoints of a training run in the artifact store: safetensors and JSON, published atomically."""

import errno
import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import Histogram
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from flawsmith.core.domain.earlier_releases import (
    CHECKPOINT_FIELDS,
    CHECKPOINT_NETWORKS,
    CHECKPOINT_TENSORS,
    SIGNALS,
    renamed,
)
from flawsmith.core.store.artifacts import AlreadyPublished
from flawsmith.core.store.interface import Claim, Place, Store, children
from flawsmith.core.store.job_folder import JobFolder

log = logging.getLogger(__name__)

CHECKPOINT_BYTES = Histogram(
    "flawsmith_checkpoint_bytes",
    "Size of one checkpoint of a training run or an evaluation, in bytes",
    buckets=[1024 * 4**power for power in range(1, 11)],  # 4 KiB to 1 GiB
)

KEPT = 3
FORMAT = 1  # of what `_write` writes; count it up where an earlier release could not continue from the result
# Other operating system errors come from the disk or the network and may pass; they are no damage of the file.
_DAMAGE = (FileNotFoundError, ValueError, KeyError, TypeError, SafetensorError)


class DiskFull(OSError):
    """The disk has no room for a checkpoint of ``needed`` bytes."""

    def __init__(self, needed: int) -> None:
        super().__init__(errno.ENOSPC, "no space left for a checkpoint")
        self.needed = needed


class NewerFormat(Exception):
    """A checkpoint was written by a later release, and this one cannot read it; it is left as it is."""


@dataclass(frozen=True)
class Checkpoint:
    """A run at a step.

    ``state`` is flat: the trainer's tensors, those of the best networks so far, torch's random states. ``run``
    identifies the run by digests of its resolved configuration and its dataset. The rest is JSON.
    """

    step: int
    state: dict[str, Tensor]
    run: dict[str, str]
    history: list[dict[str, float]] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] | None = None
    rollbacks: list[tuple[int, str]] = field(default_factory=list)
    trained_seconds: float = 0.0
    evaluation_seconds: dict[str, float] = field(default_factory=dict)  # of `EvaluationBudget`, by field
    threads: int = 1
    random_states: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(store: Store, claim: Claim, job_id: str, checkpoint: Checkpoint) -> None:
    """Publishes a checkpoint atomically, then deletes all but the newest `KEPT`.

    Raises:
        ClaimLost: another worker has the job.
        DiskFull: there is no room; earlier checkpoints are unchanged.
    """
    folder = _folder(store, job_id)
    place = folder / f"{checkpoint.step:09d}"
    try:
        with claim.staged() as staged:
            _write(staged, checkpoint)
            CHECKPOINT_BYTES.observe(sum(each.stat().st_size for each in staged.iterdir()))
            try:
                store.publish(staged, place)
            except AlreadyPublished:  # by an earlier attempt: the same step is the same state, if it is valid
                if _is_valid(place, checkpoint.run):
                    return
                store.delete(place)
                store.publish(staged, place)
    except (OSError, SafetensorError) as error:
        if is_disk_full(error):
            raise DiskFull(sum(each.nbytes for each in checkpoint.state.values())) from error
        raise
    for old in sorted(children(folder))[:-KEPT]:
        store.delete(old)


def newest_step(store: Store, job_id: str) -> int:
    """Step of the newest checkpoint, valid or not; 0 if there is none."""
    folder = _folder(store, job_id)
    return max((int(place.name) for place in children(folder)), default=0)


def newest_checkpoint(store: Store, job_id: str, run: dict[str, str]) -> Checkpoint | None:
    """The run's newest valid checkpoint. Logs and moves away a damaged one, or one of another run.

    It is moved to a folder beside the checkpoints, so that it neither displaces valid ones nor counts as progress.

    Raises:
        NewerFormat: a later release wrote the newest one. Nothing is moved, so that that release can continue from it.
        OSError: a checkpoint cannot be read, for a reason other than damage.
    """
    folder = _folder(store, job_id)
    for place in sorted(children(folder), reverse=True):
        try:
            return _read(place, run)
        except _DAMAGE as error:
            log.warning("job %s: checkpoint %s is passed over for the one before: %s", job_id, place.name, error)
            damaged = JobFolder(store, job_id).damaged / place.name
            store.delete(damaged)
            store.move(place, damaged)
    return None


def checkpoint_bytes(store: Store, job_id: str) -> int:
    """Size of the job's largest checkpoint; 0 if there is none."""
    places = _folder(store, job_id).glob("*")
    return max((sum(file.stat().st_size for file in place.iterdir()) for place in places), default=0)


def is_disk_full(error: BaseException) -> bool:
    """Whether a disk or a quota was full. safetensors reports it in its error text only."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, SafetensorError) and f"os error {errno.ENOSPC}" in str(error)


def _write(staged: Path, checkpoint: Checkpoint) -> None:
    weights = staged / "state.safetensors"
    save_file({name: tensor.detach().contiguous() for name, tensor in checkpoint.state.items()}, weights)
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    card = {"format": FORMAT} | {name: value for name, value in vars(checkpoint).items() if name != "state"}
    (staged / "checkpoint.json").write_text(json.dumps({**card, "sha256": digest, "card_sha256": _digest(card)}))


def _read(place: Place, run: dict[str, str]) -> Checkpoint:
    card: dict[str, Any] = json.loads((place / "checkpoint.json").read_bytes())
    _check_format(card.get("format", 1), place)  # first: a later release may have other fields and digests
    digest, card_digest = card.pop("sha256"), card.pop("card_sha256")
    if _digest(card) != card_digest:
        raise ValueError("checkpoint.json was changed after it was written")
    data = (place / "state.safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError("state.safetensors was changed after it was written")
    if card["run"] != run:
        raise ValueError("it belongs to another configuration or dataset")
    card.pop("format", None)  # those of commit b2444ae have none
    return _with_current_names(card, load(data))


def _check_format(found: int, place: Place) -> None:
    if found > FORMAT:
        raise NewerFormat(
            f"checkpoint {place.name} has format {found}, and this release reads up to {FORMAT}: a later release wrote "
            "it. Run that release or a later one on every training worker, then resume the job; nothing was changed"
        )


def _with_current_names(card: dict[str, Any], state: dict[str, Tensor]) -> Checkpoint:
    """A checkpoint under today's names; one of an earlier release has other ones."""
    card = renamed(card, CHECKPOINT_FIELDS)
    card["history"] = [renamed(point, SIGNALS) for point in card["history"]]
    if card["best"]:
        card["best"] = {"memorization_rate": 0.0} | renamed(card["best"], SIGNALS)
    tensors = {}
    for name, tensor in renamed(state, CHECKPOINT_TENSORS).items():
        network, dot, rest = name.partition(".")
        tensors[CHECKPOINT_NETWORKS.get(network, network) + dot + rest] = tensor
    return Checkpoint(**card, state=tensors)


def _is_valid(place: Place, run: dict[str, str]) -> bool:
    try:
        _read(place, run)
    except _DAMAGE:
        return False
    return True


def _digest(card: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(card).encode()).hexdigest()


def _folder(store: Store, job_id: str) -> Place:
    return JobFolder(store, job_id).checkpoints
