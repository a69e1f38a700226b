"""Calls about notes and tags of jobs and versions."""

from collections.abc import Sequence
from typing import Any

from flawsmith.client.commands import Flow
from flawsmith.client.jobs import job_path
from flawsmith.client.models import version_path
from flawsmith.client.operations import Calls, given, operation, record
from flawsmith.client.records import Job, Version


class RemarkCalls(Calls):
    """What people write on jobs and versions, to find them by."""

    @operation
    def remark_job(
        self,
        job: str | Job,
        *,
        note: str | None = None,
        tags: Sequence[str] | None = None,
        add_tags: Sequence[str] | None = None,
        remove_tags: Sequence[str] | None = None,
    ) -> Flow[Job]:
        """Changes the note and the tags of a job, in whatever state it is.

        Args:
            note: a text for people; "" removes it; None: it stays.
            tags: in place of those that are there; None: they stay.
            add_tags, remove_tags: beside or of those that are there.

        Raises:
            Invalid: too many tags, or ``tags`` beside ``add_tags`` or ``remove_tags``.
        """
        body = _body(note, tags, add_tags, remove_tags)
        return record(Job.read, (yield from self._change("PATCH", job_path(job), body)))

    @operation
    def remark_version(
        self,
        reference: str | Version,
        *,
        note: str | None = None,
        tags: Sequence[str] | None = None,
        add_tags: Sequence[str] | None = None,
        remove_tags: Sequence[str] | None = None,
    ) -> Flow[Version]:
        """Changes the note and the tags of a version; its images never change. Arguments as of `remark_job`."""
        body = _body(note, tags, add_tags, remove_tags)
        return record(
            Version.read, (yield from self._change("PATCH", (yield from version_path(self, reference)), body))
        )


def _body(note: str | None, *lists: Sequence[str] | None) -> dict[str, Any]:
    tags, added, removed = (each if each is None else list(each) for each in lists)
    return given(note=note, tags=tags, add_tags=added, remove_tags=removed)
