"""Server-sent events (WHATWG HTML, section 9.2) of jobs, from their Redis streams."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from flawsmith.app.background_tasks import cancel_task
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.live import keys
from flawsmith.core.live.job_events import EventId, parse_event_id
from flawsmith.core.logs import OutageLog

KEEP_ALIVE_SECONDS = 5  # without an event; then a comment keeps the connection open
BLOCK_MILLISECONDS = 500  # of one XREAD, which a new subscription to another job has to wait for
PAGE = 100  # entries of one read
CONNECTIONS = 8  # to Redis, shared by all subscribers for what the reader does not read
BUFFER = 200  # events for a slow subscriber; it reads later ones from the stream itself

log = logging.getLogger(__name__)

_Entries = list[tuple[bytes, dict[bytes, bytes]]]  # of a stream: id and fields of each


@dataclass(frozen=True)
class _Event:
    id: EventId
    text: str
    ends: bool


@dataclass(eq=False)
class _Subscriber:
    events: asyncio.Queue[_Event | None] = field(default_factory=lambda: asyncio.Queue(BUFFER))
    behind: bool = True  # its next events are in the stream, not in the queue


class Events:
    """All subscriptions of this process: one reader and a few connections, however many subscribers there are."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._subscribers: dict[str, set[_Subscriber]] = {}
        self._positions: dict[str, EventId] = {}
        self._reader: asyncio.Task[None] | None = None
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._ended = False
        self._outage = OutageLog(log, "read events")

    async def follow(self, job_id: str, last_event_id: str | None) -> AsyncIterator[str]:
        """The events after ``last_event_id``, or from the oldest kept, until that of the job's end.

        While Redis is away, only comments are sent.
        """
        sent, subscriber = parse_event_id(last_event_id), _Subscriber()
        self._subscribers.setdefault(job_id, set()).add(subscriber)
        try:
            while not self._ended:
                event = None
                try:
                    if subscriber.behind:
                        subscriber.behind, subscriber.events = False, asyncio.Queue(BUFFER)
                        await self._subscribe(job_id)
                        async for event in self._since(job_id, sent):
                            sent = event.id
                            yield event.text
                        if event.ends if event else await self._has_ended(job_id):
                            return
                    event = await asyncio.wait_for(subscriber.events.get(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield ": alive\n\n"
                    subscriber.behind = True
                except RedisError:
                    subscriber.behind = True
                    yield ": alive\n\n"
                    await asyncio.sleep(1)
                else:
                    if event is None:
                        return
                    if event.id > sent:
                        sent = event.id
                        yield event.text
                        if event.ends and subscriber.events.empty():
                            return
        finally:
            self._unsubscribe(job_id, subscriber)

    def end_all(self) -> None:
        """Ends every subscription; a browser's EventSource then goes on at another process."""
        self._ended = True
        for subscriber in (each for subscribers in self._subscribers.values() for each in subscribers):
            with suppress(asyncio.QueueFull):
                subscriber.events.put_nowait(None)

    async def close(self) -> None:
        """Ends the reader."""
        if self._reader:
            await cancel_task(self._reader)

    async def _subscribe(self, job_id: str) -> None:
        """Has the reader deliver every event that is added to the job's stream from now on."""
        async with self._connections:
            newest = await self.redis.xrevrange(keys.job_events(job_id), count=1)
        if job_id in self._subscribers:
            self._positions.setdefault(job_id, _event(*cast(_Entries, newest)[0]).id if newest else (0, 0))
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), name="events")

    def _unsubscribe(self, job_id: str, subscriber: _Subscriber) -> None:
        self._subscribers[job_id].discard(subscriber)
        if not self._subscribers[job_id]:
            del self._subscribers[job_id]
            self._positions.pop(job_id, None)

    async def _read(self) -> None:
        """Delivers new events of all subscribed jobs, as long as there are any."""
        while self._positions:
            job_of = {keys.job_events(job_id).encode(): job_id for job_id in self._positions}
            wanted = {stream: "{}-{}".format(*self._positions[job_id]) for stream, job_id in job_of.items()}
            try:
                answer = await self.redis.xread(wanted, count=PAGE, block=BLOCK_MILLISECONDS)  # type: ignore[arg-type]
            except RedisError as error:
                self._outage.met(error)
                await asyncio.sleep(1)
                continue
            self._outage.over()
            for stream, entries in cast(list[tuple[bytes, _Entries]], answer or []):
                self._deliver(job_of[stream], [_event(*entry) for entry in entries])

    def _deliver(self, job_id: str, events: list[_Event]) -> None:
        if job_id in self._positions:
            self._positions[job_id] = events[-1].id
        for subscriber in self._subscribers.get(job_id, ()):
            for event in events:
                try:
                    subscriber.events.put_nowait(event)
                except asyncio.QueueFull:
                    subscriber.behind = True

    async def _since(self, job_id: str, position: EventId) -> AsyncIterator[_Event]:
        while True:
            start = "({}-{}".format(*position)
            async with self._connections:
                entries = cast(_Entries, await self.redis.xrange(keys.job_events(job_id), start, "+", count=PAGE))
            for entry in entries:
                event = _event(*entry)
                position = event.id
                yield event
            if len(entries) < PAGE:
                return

    async def _has_ended(self, job_id: str) -> bool:
        async with self._connections:
            record = await self.redis.get(keys.job(job_id))
        return record is None or JobState(json.loads(record)["state"]).ended


def _event(event_id: bytes, fields: dict[bytes, bytes]) -> _Event:
    name, data, position = fields[b"event"].decode(), fields[b"data"].decode(), event_id.decode()
    ends = name == "state" and JobState(json.loads(data)["state"]).ended
    return _Event(parse_event_id(position), f"id: {position}\nevent: {name}\ndata: {data}\n\n", ends)
