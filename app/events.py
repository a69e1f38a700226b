"""Server-sent events (WHATWG HTML, section 9.2) of training jobs, from their Redis streams."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from flawsmith.core.domain.records import Job, JobState
from flawsmith.core.live import keys

SILENCE_SECONDS = 5  # after so long without an event a comment shows that the line lives
BLOCK_MILLISECONDS = 500  # of one XREAD: for so long a job that is watched anew may wait for its next event
PAGE = 100  # entries of one read
CONNECTIONS = 8  # that all watchers share for what the reader does not read
PATIENCE = 200  # entries that wait for a slow watcher, who reads what is more from the stream itself

log = logging.getLogger(__name__)

_Id = tuple[int, int]
_Entries = list[tuple[bytes, dict[bytes, bytes]]]  # of a stream: id and fields of each
_EVENT_ID = re.compile(r"(\d{1,19})-(\d{1,19})")


@dataclass(frozen=True)
class _Event:
    id: _Id
    text: str
    ends: bool


@dataclass(eq=False)
class _Watcher:
    events: asyncio.Queue[_Event] = field(default_factory=lambda: asyncio.Queue(PATIENCE))
    behind: bool = True  # its next events are in the stream, not here


class Events:
    """All that is watched in this process: one reader, and a few connections, however many watch."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._watchers: dict[str, set[_Watcher]] = {}
        self._positions: dict[str, _Id] = {}
        self._reader: asyncio.Task[None] | None = None
        self._asking = asyncio.Semaphore(CONNECTIONS)

    async def follow(self, job_id: str, last_event_id: str | None) -> AsyncIterator[str]:
        """The events after ``last_event_id``, or from the oldest kept; ends when the job has ended and all were told.

        While Redis is away it only says that the line lives.
        """
        told, watcher = _parsed(last_event_id), _Watcher()
        self._watchers.setdefault(job_id, set()).add(watcher)
        try:
            while True:
                event = None
                try:
                    if watcher.behind:
                        watcher.behind, watcher.events = False, asyncio.Queue(PATIENCE)
                        await self._attend(job_id)
                        async for event in self._since(job_id, told):
                            told = event.id
                            yield event.text
                        if event.ends if event else await self._over(job_id):
                            return
                    event = await asyncio.wait_for(watcher.events.get(), SILENCE_SECONDS)
                except TimeoutError:
                    yield ": alive\n\n"
                    watcher.behind = True
                except RedisError:
                    watcher.behind = True
                    yield ": alive\n\n"
                    await asyncio.sleep(1)
                else:
                    if event.id > told:
                        told = event.id
                        yield event.text
                        if event.ends and watcher.events.empty():
                            return
        finally:
            self._forget(job_id, watcher)

    async def close(self) -> None:
        """Ends the reader."""
        if self._reader:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader

    async def _attend(self, job_id: str) -> None:
        """Has the reader hand over what the job's stream does not hold yet."""
        async with self._asking:
            newest = await self.redis.xrevrange(keys.job_events(job_id), count=1)
        if job_id in self._watchers:
            self._positions.setdefault(job_id, _event(*cast(_Entries, newest)[0]).id if newest else (0, 0))
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), name="events")

    def _forget(self, job_id: str, watcher: _Watcher) -> None:
        self._watchers[job_id].discard(watcher)
        if not self._watchers[job_id]:
            del self._watchers[job_id]
            self._positions.pop(job_id, None)

    async def _read(self) -> None:
        """Reads what is new of all that is watched, and hands it over, while anything is watched."""
        while self._positions:
            job_of = {keys.job_events(job_id).encode(): job_id for job_id in self._positions}
            wanted = {stream: "{}-{}".format(*self._positions[job_id]) for stream, job_id in job_of.items()}
            try:
                answer = await self.redis.xread(wanted, count=PAGE, block=BLOCK_MILLISECONDS)  # type: ignore[arg-type]
            except RedisError as error:
                log.warning("cannot read events: %s", error)
                await asyncio.sleep(1)
                continue
            for stream, entries in cast(list[tuple[bytes, _Entries]], answer or []):
                self._hand_over(job_of[stream], [_event(*entry) for entry in entries])

    def _hand_over(self, job_id: str, events: list[_Event]) -> None:
        if job_id in self._positions:
            self._positions[job_id] = events[-1].id
        for watcher in self._watchers.get(job_id, ()):
            for event in events:
                try:
                    watcher.events.put_nowait(event)
                except asyncio.QueueFull:
                    watcher.behind = True

    async def _since(self, job_id: str, position: _Id) -> AsyncIterator[_Event]:
        while True:
            start = "({}-{}".format(*position)
            async with self._asking:
                entries = cast(_Entries, await self.redis.xrange(keys.job_events(job_id), start, "+", count=PAGE))
            for entry in entries:
                event = _event(*entry)
                position = event.id
                yield event
            if len(entries) < PAGE:
                return

    async def _over(self, job_id: str) -> bool:
        async with self._asking:
            record = await self.redis.get(keys.job(job_id))
        return record is None or Job.model_validate_json(record).state.ended


def _parsed(event_id: str | None) -> _Id:
    match = _EVENT_ID.fullmatch(event_id or "")
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _event(event_id: bytes, fields: dict[bytes, bytes]) -> _Event:
    name, data, position = fields[b"event"].decode(), fields[b"data"].decode(), event_id.decode()
    ends = name == "state" and JobState(json.loads(data)["state"]).ended
    return _Event(_parsed(position), f"id: {position}\nevent: {name}\ndata: {data}\n\n", ends)
