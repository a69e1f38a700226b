"""The events of a job, in a Redis stream that GET …/{id}/events follows."""

import json
import re
from collections.abc import Mapping
from typing import Any

from redis import Redis
from redis.client import Pipeline

from flawsmith.core.live import keys

EVENTS_KEPT = 1000  # of one job
EVENTS_SECONDS = 24 * 3600  # after the last event

EventId = tuple[int, int]
_EVENT_ID = re.compile(r"(\d{1,19})-(\d{1,19})")


def emit(pipe: Pipeline, job_id: str, event: str, data: Mapping[str, Any]) -> None:
    """Adds an event to the job's stream when the pipeline executes."""
    stream = keys.job_events(job_id)
    pipe.xadd(stream, {"event": event, "data": json.dumps(data)}, maxlen=EVENTS_KEPT)
    pipe.expire(stream, EVENTS_SECONDS)


def parse_event_id(text: str | None) -> EventId:
    """The position in the stream that a Last-Event-ID names; before the first event without a valid one."""
    match = _EVENT_ID.fullmatch(text or "")
    return (int(match[1]), int(match[2])) if match else (0, 0)


def has_events_after(redis: Redis, job_id: str, position: EventId) -> bool:
    """Whether the stream still holds a later event."""
    return bool(redis.xrange(keys.job_events(job_id), "({}-{}".format(*position), "+", count=1))
