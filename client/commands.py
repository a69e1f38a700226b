"""What a call consists of, without any input or output.

A flow is a generator: it yields commands, and the client that runs it sends their results back. So each call is
described once, for `Client` and for `AsyncClient`.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

from flawsmith.client.errors import UnexpectedAnswer, problem_of

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request. ``files`` are (field, file name, open file) and make it multipart, with ``fields`` as its text."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    fields: Mapping[str, str] = field(default_factory=dict)
    files: list[tuple[str, str, BinaryIO]] = field(default_factory=list)
    silence: float | None = None
    """The longest time without a byte from the service, in seconds; None: that of the client."""


@dataclass(frozen=True)
class Answer:
    """Status and headers (names in lower case) of an answer, and its content unless it is a stream."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Raises UnexpectedAnswer."""
        if self.media_type not in ("application/json", "application/problem+json"):
            raise UnexpectedAnswer(self._strange)
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise UnexpectedAnswer(f"the answer is no JSON: {error}") from error

    def check(self) -> "Answer":
        """The answer, if the call succeeded. Raises Problem, or UnexpectedAnswer where something else answers."""
        if self.status < 300:
            return self
        if self.media_type == "application/problem+json":
            members = self.json()
        elif self.status in RETRIED:  # of a proxy in front of the service
            members = {"detail": f"HTTP status {self.status}, not of Flawsmith itself"}
        elif 300 <= self.status < 400 and "location" in self.headers:
            raise UnexpectedAnswer(f"the service is elsewhere ({self.headers['location']}); use that URL")
        else:
            raise UnexpectedAnswer(self._strange)
        seconds = _seconds(self.headers.get("retry-after", ""))
        raise problem_of(self.status, members, retry_after=seconds, request_id=self.headers.get("x-request-id"))

    @property
    def _strange(self) -> str:
        kind = self.media_type or "no content type"
        return f"this is no answer of Flawsmith (HTTP {self.status}, {kind}); is the URL right?"


RETRIED = (408, 429, 502, 503, 504)


@dataclass(frozen=True)
class Stream:
    """An open answer, whose content is read piece by piece."""

    answer: Answer
    source: Any = field(repr=False)


@dataclass(frozen=True)
class Event:
    """A server-sent event as it arrives."""

    id: str
    name: str
    data: str


@dataclass(frozen=True)
class Send:
    """Command: send the request; the result is an `Answer`."""

    request: Request


@dataclass(frozen=True)
class Sleep:
    """Command: wait."""

    seconds: float


@dataclass(frozen=True)
class Open:
    """Command: send the request and leave its content unread, unless it is an error; the result is a `Stream`."""

    request: Request
    events: bool = False


@dataclass(frozen=True)
class Read:
    """Command: the next piece of a stream: bytes, or an `Event`; None at its end."""

    stream: Stream


@dataclass(frozen=True)
class Close:
    """Command: close the stream."""

    stream: Stream


@dataclass(frozen=True)
class Emit:
    """Command of a flow that makes several things: hand out one of them."""

    item: Any


Command = Send | Sleep | Open | Read | Close | Emit
Flow = Generator[Command, Any, T]


def send(request: Request) -> Flow[Answer]:
    """One try of a request. Raises NoAnswer."""
    answer: Answer = yield Send(request)
    return answer


def sleep(seconds: float) -> Flow[None]:
    yield Sleep(seconds)


def open_stream(request: Request, *, events: bool = False) -> Flow[Stream]:
    """Raises NoAnswer."""
    stream: Stream = yield Open(request, events)
    return stream


def read(stream: Stream) -> Flow[Any]:
    """Raises NoAnswer where the connection breaks."""
    return (yield Read(stream))


def close(stream: Stream) -> Flow[None]:
    yield Close(stream)


def emit(item: Any) -> Flow[None]:
    yield Emit(item)


def _seconds(text: str) -> float | None:
    """The seconds of a header Retry-After. Flawsmith sends no dates; a proxy's date is left to the client's backoff."""
    return float(text) if text.strip().isdecimal() else None
