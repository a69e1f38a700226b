"""kombu's Redis transport, with a check of every message before Celery sees it.

kombu and Celery take what they find in a queue for a message of their own. A malformed one ends the worker, and some of
them are then delivered again for ever. Here it is logged once and dropped.
"""

import binascii
import json
import logging
from base64 import b64decode
from queue import Empty
from typing import Any, Literal

from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from pydantic import BaseModel, ConfigDict, Field, ValidationError

log = logging.getLogger(__name__)

RUN_SEGMENT = "flawsmith.run_segment"
SAMPLE_TASK = "flawsmith.sample"


class _Part(BaseModel):
    """A part of a message; Celery adds further keys, which do no harm."""

    model_config = ConfigDict(strict=True)


class _Headers(_Part):
    task: Literal["flawsmith.run_segment", "flawsmith.sample"]
    id: str
    eta: None = None
    expires: None = None
    timelimit: list[None] = Field(default_factory=list)
    retries: int = 0
    compression: None = None


class _DeliveryInfo(_Part):
    exchange: str
    routing_key: str


class _Properties(_Part):
    delivery_tag: str
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"]


class _Envelope(_Part):
    body: str
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    headers: _Headers
    properties: _Properties


class _Call(_Part):
    """The body: positional arguments (none), keyword arguments, and what else Celery may call (nothing)."""

    positional: list[None] = Field(max_length=0)
    keywords: dict[str, str]
    embedded: dict[str, None]


class MalformedMessage(ValueError):
    """A message that no part of Flawsmith has sent."""


def check_message(payload: Any) -> None:
    """Raises MalformedMessage."""
    try:
        envelope = _Envelope.model_validate(payload)
        positional, keywords, embedded = json.loads(b64decode(envelope.body, validate=True))
        _Call(positional=positional, keywords=keywords, embedded=embedded)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        raise MalformedMessage(f"{'.'.join(map(str, found['loc']))}: {found['msg']}") from None
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise MalformedMessage(f"body: {error}") from None


class CheckedMessage(virtual.Message):
    """A message that passed `check_message`. Raises MalformedMessage."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        check_message(payload)
        super().__init__(payload, channel=channel, **options)

    def ack_log_error(
        self, logger: logging.Logger, errors: tuple[type[Exception], ...], multiple: bool = False
    ) -> None:
        """Acknowledges the message; raises one of ``errors`` if the broker is away, so that the consumer reconnects.

        kombu's own only logs it. The message would then count as unacknowledged in this process for ever, and a worker
        that takes one at a time would take no other again, if Redis is back before anything else meets its absence.
        """
        try:
            self.ack(multiple=multiple)
        except errors as error:
            logger.warning("cannot acknowledge message %s: %s; connecting anew", self.delivery_tag, error)
            raise


class CheckedChannel(redis.Channel):
    """Drops malformed messages. They have left their queue by then, and were not yet noted as unacknowledged."""

    Message = CheckedMessage

    def _brpop_read(self, **options: Any) -> Any:
        # kombu has no public place between taking a message out of Redis and parsing it.
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except (MalformedMessage, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            log.error("rejected a malformed message on the broker: %.300s", error)
            raise Empty from None


class CheckedTransport(redis.Transport):
    """The transport of ``redis://``, ``rediss://`` and ``redis+socket://`` once `install` was called."""

    Channel = CheckedChannel


def install() -> None:
    """Has every consumer of this process check its messages. To be called before the first connection."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{CheckedTransport.__name__}"
