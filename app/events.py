"""Server-sent events (WHATWG HTML, section 9.2) of a training job, from its Redis stream."""

import json
import re
from collections.abc import AsyncIterator
from typing import cast

from redis.asyncio import Redis

from core import keys
from core.records import Job

SILENCE_SECONDS = 5  # after so long without an event a comment shows that the line lives
_Entries = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]  # of XREAD: stream, then id and fields of each
_EVENT_ID = re.compile(r"\d{1,20}-\d{1,20}")


async def follow(redis: Redis, job_id: str, last_event_id: str | None) -> AsyncIterator[str]:
    """The events after ``last_event_id``, or from the oldest kept; ends when the job has ended and all were told."""
    position = last_event_id if last_event_id and _EVENT_ID.fullmatch(last_event_id) else "0-0"
    stream = keys.job_events(job_id)
    while True:
        answer = await redis.xread({stream: position}, count=100, block=SILENCE_SECONDS * 1000)
        entries = cast(_Entries, answer)[0][1] if answer else []
        for event_id, fields in entries:
            position = event_id.decode()
            yield f"id: {position}\nevent: {fields[b'event'].decode()}\ndata: {fields[b'data'].decode()}\n\n"
        if not entries:
            if await _ended(redis, job_id):
                return
            yield ": alive\n\n"
        elif json.loads(entries[-1][1][b"data"]).get("state") in ("succeeded", "failed", "cancelled"):
            return


async def _ended(redis: Redis, job_id: str) -> bool:
    record = await redis.get(keys.job(job_id))
    return record is None or Job.model_validate_json(record).state.ended
