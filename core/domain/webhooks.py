"""Webhooks: messages after Standard Webhooks (https://www.standardwebhooks.com, version 1.0), and who gets them."""

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from flawsmith.core.domain.jobs import Job, JobState
from flawsmith.core.domain.records import Moment, Record, now
from flawsmith.core.domain.webhook_targets import JOB_EVENTS, EventType

RETRY_SECONDS = (5.0, 60.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 28_800.0, 30_000.0)  # in all, a day
NEWEST_SECONDS = 2 * 24 * 3600.0  # older events make no message: Redis was filled with old records again
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Webhook(Record):
    """A standing webhook. ``ended`` says why it gets no more messages: its receiver answered 410."""

    id: str
    url: str
    events: list[EventType]
    created_at: Moment
    ended: str | None = None


class DeliveryState(StrEnum):
    """Of one message to one receiver."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Attempt(Record):
    """One try to deliver; ``status`` is the receiver's, ``error`` what kept it from being delivered."""

    at: Moment
    status: int | None = None
    error: str | None = None


class Delivery(Record):
    """A message to a receiver. ``payload`` is posted as it stands here; ``next_at`` is when it is tried next.

    ``webhook`` is the id of the standing webhook, or of the job that named the URL. ``tried`` counts the attempts since
    the message was made or sent again.
    """

    id: str
    webhook: str
    url: str
    type: EventType
    payload: str
    state: DeliveryState = DeliveryState.PENDING
    created_at: Moment
    next_at: Moment | None = None
    attempts: list[Attempt] = Field(default_factory=list)
    tried: int = 0

    def attempted(self, attempt: Attempt, wait_seconds: float | None) -> "Delivery":
        """After an attempt that did not deliver it. ``wait_seconds`` until the next one; None: it is given up."""
        state = DeliveryState.FAILED if wait_seconds is None else DeliveryState.PENDING
        next_at = None if wait_seconds is None else attempt.at + timedelta(seconds=wait_seconds)
        return self.changed(state=state, next_at=next_at, attempts=[*self.attempts, attempt], tried=self.tried + 1)

    def delivered(self, attempt: Attempt) -> "Delivery":
        return self.changed(state=DeliveryState.DELIVERED, next_at=None, attempts=[*self.attempts, attempt])

    def again(self) -> "Delivery":
        """The message as it is sent once more."""
        return self.changed(state=DeliveryState.PENDING, next_at=now(), tried=0)


class Payload(Record):
    """The body of a message."""

    type: EventType
    timestamp: Moment
    data: dict[str, Any]


def new_delivery(
    webhook: str, url: str, type_: EventType, at: datetime, subject: str, data: dict[str, Any]
) -> Delivery:
    """A message that is due at once.

    Args:
        webhook: as in `Delivery`.
        url: of the receiver.
        type_: what happened.
        at: when.
        subject: what it happened to. The same event has the same id, so that it makes one message; ids sort by time.
        data: what the message says of it.
    """
    event = hashlib.sha256("\n".join([webhook, type_, subject]).encode()).hexdigest()[:12]
    payload = Payload(type=type_, timestamp=at, data=data).model_dump_json()
    moment = int(at.timestamp() * 1000)
    return Delivery(
        id=f"msg_{moment:013d}{event}",
        webhook=webhook,
        url=url,
        type=type_,
        payload=payload,
        created_at=at,
        next_at=at,
    )


def state_events(job: Job) -> list[tuple[EventType, str, datetime]]:
    """What happened to a job: type, subject and time of each change of its state, in order."""
    types = {JobState(each.removeprefix("job.")): each for each in JOB_EVENTS}
    return [
        (types[change.state], f"{job.id}/{position}", change.at)
        for position, change in enumerate(job.transitions)
        if change.state in types
    ]


def job_data(job: Job, path: str) -> dict[str, Any]:
    """What a message says of a job. ``path`` is that of its kind."""
    shown = {"id": job.id, "kind": job.kind, "state": job.state, "error": job.error, "url": f"{path}/{job.id}"}
    for name in ("model", "version", "produced", "composition"):
        if (value := getattr(job, name, None)) is not None:
            shown[name] = value
    return shown


def permits(address: str, networks: Sequence[Network]) -> bool:
    """Whether messages may go to an IP address: it is public, or in one of these networks."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    own = getattr(ip, "ipv4_mapped", None) or ip
    return is_public(address) or any(own in network for network in networks)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also where IPv6 wraps one of IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
    return ip.is_global and not ip.is_multicast
