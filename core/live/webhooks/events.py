"""What happened in the service, as messages to those who want to know."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

from redis import Redis

from flawsmith.core.domain.job_kinds.drift import DriftJob
from flawsmith.core.domain.job_kinds.training import TrainingJob
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.records import VerdictState
from flawsmith.core.domain.webhook_targets import EventType
from flawsmith.core.domain.webhooks import NEWEST_SECONDS, Delivery, job_data, new_delivery, state_events
from flawsmith.core.live import keys
from flawsmith.core.live.job_repository import JobRepository, UnknownJob
from flawsmith.core.store.aliases import Aliases
from flawsmith.core.store.webhooks import Webhooks

READ_AT_ONCE = 100

Event = tuple[EventType, str, datetime, dict[str, Any]]


class WebhookEvents:
    """Turns changes of jobs and aliases into messages.

    `JobRepository` notes a change in the transaction that makes it, and notes it again when it fills Redis from the
    artifact store; `Aliases` notes one before it makes it. A message's id follows from what happened, so that nothing
    is lost and nothing is told twice.
    """

    def __init__(self, redis: Redis, jobs: JobRepository, webhooks: Webhooks, aliases: Aliases) -> None:
        self.redis, self.jobs, self.webhooks, self.aliases = redis, jobs, webhooks, aliases

    def look(self) -> None:
        """Makes the messages of all changes that were noted. Raises RedisError, OSError."""
        self.tell_of_aliases()
        while noted := cast(list[bytes], self.redis.srandmember(keys.CHANGED_JOBS, READ_AT_ONCE)):
            for each in noted:
                with suppress(UnknownJob):  # deleted since
                    self._tell_of(self.jobs.get(each.decode().partition("/")[0]))
            self.redis.srem(keys.CHANGED_JOBS, *noted)

    def tell_of_aliases(self) -> None:
        """Makes the messages of aliases that changed. Raises RedisError, OSError."""
        for change in self.aliases.changes():
            data = {
                "model": change.model,
                "alias": change.alias,
                "version": change.after,
                "before": change.before,
                "url": f"/models/{change.model}",
            }
            self.tell(EventType.ALIAS_CHANGED, change.id, change.at, data)
            self.aliases.forget(change)

    def tell(self, type_: EventType, subject: str, at: datetime, data: dict[str, Any]) -> None:
        """Makes the messages to standing webhooks. Raises RedisError, OSError."""
        for webhook in self.webhooks.all():
            if type_ in webhook.events and webhook.ended is None and webhook.created_at <= at:
                self.send(new_delivery(webhook.id, webhook.url, type_, at, subject, data))

    def send(self, delivery: Delivery) -> None:
        """Has a message delivered, unless it was made before. Raises RedisError, OSError."""
        if self.webhooks.add_message(delivery):
            self.redis.zadd(keys.WEBHOOKS_DUE, {delivery.id: 0})

    def _tell_of(self, job: Job) -> None:
        data = job_data(job, self.jobs.kinds[job.kind].path)
        for type_, subject, at in state_events(job):
            if time.time() - at.timestamp() > NEWEST_SECONDS:
                continue
            if job.webhook and type_ in job.webhook.events:
                self.send(new_delivery(job.id, job.webhook.url, type_, at, subject, data))
            self.tell(type_, subject, at, data)
            if type_ is EventType.JOB_SUCCEEDED:
                for found in _of_result(job, at):
                    self.tell(*found)


def _of_result(job: Job, at: datetime) -> Iterator[Event]:
    """What the result of a job that succeeded says of a version."""
    if isinstance(job, TrainingJob) and job.verdict and job.verdict.state is VerdictState.FAILING:
        data = {"version": job.produced, "reasons": job.verdict.reasons, "job": job.id}
        yield EventType.VERSION_FAILING, str(job.produced), at, data
    if isinstance(job, DriftJob) and job.result and job.result.drifted:
        data = {"version": job.version, "reasons": job.result.reasons, "job": job.id}
        yield EventType.VERSION_DRIFTED, job.id, at, data
