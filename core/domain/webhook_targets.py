"""Who is told what: the events of webhooks, and the keys of requests that name a receiver."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from flawsmith.core.domain.remarks import Note, Tags
from flawsmith.core.domain.request_body import RequestBody, examples

MAX_URL = 2_048  # characters


class EventType(StrEnum):
    """What can happen. `job.…` is of the job that names the webhook; the others are of standing webhooks."""

    JOB_RUNNING = "job.running"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    ALIAS_CHANGED = "alias.changed"
    VERSION_FAILING = "version.failing"
    VERSION_DRIFTED = "version.drifted"


JOB_EVENTS = tuple(each for each in EventType if each.startswith("job."))
ENDS = tuple(each for each in JOB_EVENTS if each is not EventType.JOB_RUNNING)
STANDING_EVENTS = tuple(each for each in EventType if each not in JOB_EVENTS)


Named = Annotated[EventType, Field(strict=False)]
"""An event by its name."""


def _well_formed(url: str) -> str:
    """An absolute URL of a host that may be public; whether it is decides its connection."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or any(each <= " " or each > "~" for each in url):
        raise PydanticCustomError("url", "a webhook's URL is https://HOST/PATH (or http), in ASCII")
    if parts.username is not None or parts.fragment:
        raise PydanticCustomError("url", "a webhook's URL has no user name and no fragment")
    return url


Url = Annotated[str, Field(min_length=8, max_length=MAX_URL), AfterValidator(_well_formed)]


class JobWebhook(RequestBody):
    """Who is told of one job: the key ``webhook`` of its submission."""

    url: Url = Field(description="where messages are posted to")
    events: list[Named] = Field(
        list(ENDS),
        min_length=1,
        max_length=len(JOB_EVENTS),
        description="`job.running`, `job.succeeded`, `job.failed`, `job.cancelled`; by default how it ends",
    )


class JobRequest(RequestBody):
    """What the bodies of submissions have in common. It is no part of a job's configuration."""

    webhook: JobWebhook | None = Field(None, exclude=True, description="who is told how the job ends")
    note: Note = Field(None, exclude=True, description="a text for people, which the version that it publishes has too")
    tags: Tags = Field(
        [], exclude=True, description="words to find it by, which the version has too", examples=[["line-3"]]
    )


class WebhookRequest(RequestBody):
    """The body of POST /webhooks."""

    model_config = examples({"url": "https://hooks.example.com/flawsmith", "events": ["job.succeeded", "job.failed"]})

    url: Url = Field(description="where messages are posted to")
    events: list[Named] = Field(
        list(STANDING_EVENTS),
        min_length=1,
        max_length=len(EventType),
        description="all of standing webhooks by default; `job.…` means every job of the service",
    )
