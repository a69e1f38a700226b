"""What of each kind is stored, since when, and what uses it."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.records import now
from flawsmith.core.domain.retention import KINDS, Removal, Rule, Stored, due
from flawsmith.core.housekeeping.uses import Uses, all_versions, find_uses
from flawsmith.core.services import Services
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.stored_files import size_of
from flawsmith.core.store.version_results import results_folder

READ_AT_ONCE = 500
_KIND_OF_JOB = {"export": "exports", "composition": "compositions", "evaluation": "evaluations"}


class Inventory:
    """What a site holds at one moment. Reading it takes a while, and the site goes on meanwhile."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.jobs = list(_all_jobs(services))
        self.uses: Uses = find_uses(services, [each for each in self.jobs if not each.state.ended])

    def due(self, rules: dict[str, Rule]) -> list[Removal]:
        """What the rules delete, kind after kind."""
        at, found, gone = now(), list[Removal](), set[str]()
        for kind in (each for each in KINDS if each in rules):
            stored = [each for each in self._stored(kind) if each.id not in gone]
            sizes = {each.id: self._size(each) for each in stored} if rules[kind].bytes is not None else {}
            removals = due(rules[kind], stored, sizes, at)
            if not sizes:
                removals = [Removal(each.stored, self._size(each.stored), each.why) for each in removals]
            found += [each for each in removals if each.bytes or kind not in ("checkpoints", "samples")]
            gone |= {each.stored.id for each in removals if kind not in ("checkpoints", "samples")}
        return found

    def _stored(self, kind: str) -> list[Stored]:
        if kind == "versions":
            return [
                Stored(kind, each.ref, each.created_at, self.uses.versions.get(each.ref))
                for each in all_versions(self.services).values()
            ]
        if kind == "datasets":
            used_at = self._datasets_used_at()
            return [
                Stored(kind, each.id, max(each.created_at, used_at.get(each.id, each.created_at)), user)
                for each in self.services.datasets.list()
                for user in [self.uses.of_dataset(each)]
            ]
        ended = [each for each in self.jobs if each.state.ended]
        if kind in ("checkpoints", "samples"):
            return [Stored(kind, each.id, _ended_at(each)) for each in ended]
        return [
            Stored(kind, each.id, _ended_at(each), self.uses.jobs.get(each.id))
            for each in ended
            if _KIND_OF_JOB.get(each.kind, "jobs") == kind
        ]

    def _size(self, stored: Stored) -> int:
        """In bytes."""
        store = self.services.store
        if stored.kind == "versions":
            name, _, number = stored.id.partition("@")
            folder = store.path("models", name, "versions", number)
            return size_of(folder) + size_of(results_folder(folder))
        if stored.kind == "datasets":
            return size_of(store.path("datasets", stored.id))
        job = JobFolder(store, stored.id)
        if stored.kind == "checkpoints":
            return size_of(job.checkpoints) + size_of(job.damaged)
        if stored.kind == "samples":
            with suppress(FileNotFoundError):  # the job was deleted meanwhile
                return sum(job.sample(each).stat().st_size for each in job.sample_steps()[:-1])
            return 0
        return size_of(job.path)

    def _datasets_used_at(self) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        for job in self.jobs:
            for each in job.datasets:
                found[each] = max(_ended_at(job), found.get(each, job.created_at))
        return found


def _all_jobs(services: Services) -> Iterator[Job]:
    for kind in services.jobs.kinds.values():
        before: str | None = None
        while page := services.jobs.page(kind, None, READ_AT_ONCE, before):
            yield from page
            before = page[-1].id


def _ended_at(job: Job) -> datetime:
    return job.finished_at or job.created_at
