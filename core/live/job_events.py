"""The events of a job, in a Redis stream that GET …/{id}/events follows."""

import json
from collections.abc import Mapping
from typing import Any

from redis.client import Pipeline

from flawsmith.core.live import keys

EVENTS_KEPT = 1000  # of one job
EVENTS_SECONDS = 24 * 3600  # after the last event


def emit(pipe: Pipeline, job_id: str, event: str, data: Mapping[str, Any]) -> None:
    """Adds an event to the job's stream when the pipeline executes."""
    stream = keys.job_events(job_id)
    pipe.xadd(stream, {"event": event, "data": json.dumps(data)}, maxlen=EVENTS_KEPT)
    pipe.expire(stream, EVENTS_SECONDS)
