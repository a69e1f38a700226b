"""The inbox of an API process: reads the images that workers deliver, and gives them to the requests that wait."""

import asyncio
import json
import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import cast

from redis.exceptions import RedisError

from flawsmith.app.problems import Problem
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import Range, from_json
from flawsmith.core.live import keys
from flawsmith.core.live.connections import connect_async, image_redis_url
from flawsmith.core.live.sampling_queue import (
    BELOW_FLOOR_MARK,
    FAILURE_MARK,
    GONE_MARK,
    NOT_FOUND_MARK,
    UNUSABLE_MARK,
    Subscriber,
)
from flawsmith.core.logs import OutageLog
from flawsmith.core.settings import Settings

log = logging.getLogger(__name__)

BLOCK_SECONDS = 2.0  # of one read
PAGE = 64  # items of one read
RETRY_SECONDS = 0.5


@dataclass
class PendingRequest:
    """A request that waits for images.

    Attributes:
        missing: addresses whose images have not arrived.
        deadline: when it stops waiting, on the monotonic clock.
        images: encoded images that have arrived.
        below_floor: scores that arrived instead of images.
        not_found: what the candidates of addresses have, that arrived instead of images.
        done: ends when no image is missing, or with the Problem that a worker reported.
        last_news: when the request was last enqueued or received an image, on the monotonic clock.
    """

    subscriber: Subscriber
    version: str
    missing: set[Address]
    deadline: float
    images: dict[Address, bytes] = field(default_factory=dict)
    below_floor: dict[Address, float] = field(default_factory=dict)
    not_found: dict[Address, dict[str, Range]] = field(default_factory=dict)
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    last_news: float = field(default_factory=time.monotonic)

    def receive(self, address: Address, payload: bytes) -> None:
        """Notes an image, its score if it is below the floor, what its candidates have, or why there is none."""
        if self.done.done():
            return
        self.last_news = time.monotonic()
        if payload.startswith(FAILURE_MARK):
            self.done.set_exception(_problem_of(payload))
            return
        if payload.startswith(BELOW_FLOOR_MARK):
            self.below_floor[address] = float(payload.removeprefix(BELOW_FLOOR_MARK))
        elif payload.startswith(NOT_FOUND_MARK):
            self.not_found[address] = dict(from_json(json.loads(payload.removeprefix(NOT_FOUND_MARK))))
        else:
            self.images[address] = payload
        self.missing.discard(address)
        if not self.missing:
            self.done.set_result(None)


class Inbox:
    """This process's inbox, and the requests that wait for its items, by their numbers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = secrets.token_hex(8)
        self.pending: dict[str, PendingRequest] = {}

    async def read(self) -> None:
        """Gives each delivered image to its request, until it is cancelled."""
        redis, name = connect_async(self.settings, image_redis_url(self.settings)), keys.inbox(self.name)
        outage = OutageLog(log, "read the inbox")
        try:
            while True:
                try:
                    found = await redis.blmpop(BLOCK_SECONDS, 1, name, direction="LEFT", count=PAGE)
                    outage.over()
                    for item in cast(list[bytes], found[1]) if found else []:
                        self._receive(*item.split(b"\n", 2))
                except RedisError as error:
                    outage.met(error)
                    await asyncio.sleep(RETRY_SECONDS)
                except Exception:  # a malformed item must not keep the others from their requests
                    log.exception("malformed item in the inbox")
        finally:
            await redis.aclose()

    def _receive(self, number: bytes, address: bytes, payload: bytes) -> None:
        if pending := self.pending.get(number.decode()):
            pending.receive(Address.parse(address.decode()), payload)


def _problem_of(payload: bytes) -> Problem:
    """What the caller is told, of a payload that begins with `FAILURE_MARK`."""
    for mark, status, kind in ((GONE_MARK, 404, "not-found"), (UNUSABLE_MARK, 409, "conflict")):
        if payload.startswith(mark):
            return Problem(status, kind, payload.removeprefix(mark).decode())
    return Problem(500, "sampling-failed", payload.removeprefix(FAILURE_MARK).decode())
