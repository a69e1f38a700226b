"""Reads stored records of jobs of all kinds. A job's id says its kind."""

import logging
from collections.abc import Iterable

from flawsmith.core.domain.jobs import Job, JobKind, valid_job_id

log = logging.getLogger(__name__)


class UnknownJob(LookupError):
    """There is no job of that id, or its record cannot be read."""


class JobRecords:
    """Knows the kinds of job by name and by the prefix of their ids."""

    def __init__(self, kinds: Iterable[JobKind]) -> None:
        self.kinds = {kind.name: kind for kind in kinds}
        self._by_prefix = {kind.id_prefix: kind for kind in self.kinds.values()}

    def check_kind(self, job_id: str, kind: JobKind | None) -> None:
        """Raises UnknownJob where another kind than this one, if one is given, has such ids."""
        if kind and self.kind_of(job_id) is not kind:
            raise UnknownJob(f"there is no {kind.name} job '{job_id}'")

    def kind_of(self, job_id: str) -> JobKind:
        """The kind of the jobs with such ids. Raises UnknownJob."""
        kind = self._by_prefix.get(job_id.partition("-")[0]) if valid_job_id(job_id) else None
        if kind is None:
            raise UnknownJob(f"there is no job '{job_id}', and no kind of job whose ids begin like this")
        return kind

    def readable(self, job_id: str, raw: bytes | str | None) -> Job | None:
        """A stored record; None for one that cannot be read, so that it does not hide the others."""
        try:
            return self.parse(job_id, raw) if raw else None
        except UnknownJob:
            return None

    def parse(self, job_id: str, raw: bytes | str) -> Job:
        """A stored record. Raises UnknownJob, also for a record that cannot be read or is another job's."""
        kind = self.kind_of(job_id)
        try:
            job = kind.record.model_validate_json(raw)
        except ValueError as error:
            log.error("the record of %s cannot be read: %.500s", job_id, error)
            raise UnknownJob(f"the record of {kind.name} job '{job_id}' cannot be read") from error
        if job.id != job_id or job.kind != kind.name:
            log.error("in place of the record of %s there is one of %s, a %s job", job_id, job.id, job.kind)
            raise UnknownJob(f"the record of {kind.name} job '{job_id}' cannot be read")
        return job
