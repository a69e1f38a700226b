"""Deletes what the rules of retention say, by the same steps as the calls that delete."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from flawsmith.core.domain.job_states import JobUnfinished
from flawsmith.core.domain.retention import Removal, Rule
from flawsmith.core.housekeeping.counters import drop_counters
from flawsmith.core.housekeeping.inventory import Inventory
from flawsmith.core.housekeeping.photographs import delete_photographs
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel, VersionInUse

log = logging.getLogger(__name__)

BY = "retention"  # the caller in the audit log


class _InUse(Exception):
    """Something has come into use since the inventory."""


@dataclass
class Outcome:
    """What was deleted, and what was not, since it came into use, or was deleted by somebody else."""

    removed: list[Removal] = field(default_factory=list)
    kept: list[Removal] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.removed)


def collect(services: Services, rules: dict[str, Rule]) -> Outcome:
    """Deletes what the rules say, once. Raises RedisError, OSError."""
    outcome = Outcome()
    for removal in Inventory(services).due(rules):
        stored = removal.stored
        try:
            _REMOVALS.get(stored.kind, _remove_job)(services, stored.id)
            outcome.removed.append(removal)
        except (_InUse, JobUnfinished, UnknownJob, UnknownDataset, UnknownModel, VersionInUse) as error:
            log.info("retention keeps %s %s: %s", stored.kind, stored.id, error)
            outcome.kept.append(removal)
    drop_counters(services)
    if outcome.removed:
        counts = {each.stored.kind: 0 for each in outcome.removed}
        for each in outcome.removed:
            counts[each.stored.kind] += 1
        shown = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        log.info("retention deleted %s: %d bytes", shown, outcome.bytes)
    return outcome


def _remove_job(services: Services, job_id: str) -> None:
    services.jobs.delete(job_id)


def _remove_checkpoints(services: Services, job_id: str) -> None:
    """Each by itself: one that a resumed job saves meanwhile stays."""
    folder = JobFolder(services.store, job_id)
    cards = folder.checkpoint_cards()
    _check_ended(services, job_id)
    services.history.outlive_checkpoints(job_id)
    for card in cards:
        services.store.delete(card.parent)
    services.store.delete(folder.damaged)


def _remove_samples(services: Services, job_id: str) -> None:
    """All sample grids but the newest."""
    _check_ended(services, job_id)
    folder = JobFolder(services.store, job_id)
    for step in folder.sample_steps()[:-1]:
        folder.sample(step).unlink(missing_ok=True)


def _remove_version(services: Services, reference: str) -> None:
    registry, (name, _, number) = services.registry, reference.partition("@")
    version = registry.version(name, number)
    if registry.serves(name) == version.version:
        raise _InUse("the bare model name means it now")
    services.audit.record("version_deleted", version=reference, caller=BY)
    registry.delete_version(name, number)
    PoolReplenisher(services.image_redis, services.settings).drop(reference)


def _remove_dataset(services: Services, dataset_id: str) -> None:
    dataset = services.datasets.get(dataset_id)
    if users := services.jobs.unfinished_with(dataset.id):
        raise _InUse(f"job {users[0]} uses it now")
    services.audit.record("dataset_deleted", dataset=dataset.id, name=dataset.name, caller=BY)
    delete_photographs(services, dataset)
    services.datasets.delete(dataset.id)


def _check_ended(services: Services, job_id: str) -> None:
    if not services.jobs.get(job_id).state.ended:
        raise _InUse("it was resumed")


_REMOVALS: dict[str, Callable[[Services, str], None]] = {
    "checkpoints": _remove_checkpoints,
    "samples": _remove_samples,
    "versions": _remove_version,
    "datasets": _remove_dataset,
}
