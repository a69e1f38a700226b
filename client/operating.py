"""Calls about the service itself, and any other call."""

import time
from typing import Any

from flawsmith.client.commands import Flow, Request, send, sleep
from flawsmith.client.errors import NoAnswer, UnexpectedAnswer
from flawsmith.client.operations import Calls, operation, record
from flawsmith.client.records import Readiness

READY_PAUSE = 0.5  # seconds between two looks


class ServiceCalls(Calls):
    """The service."""

    @operation
    def ready(self, wait: float = 0.0) -> Flow[Readiness]:
        """Whether every part of the service is up, at once or within ``wait`` seconds.

        Raises:
            NoAnswer: nothing answered in that time.
        """
        deadline = time.monotonic() + wait
        while True:
            last = time.monotonic() >= deadline
            try:
                answer = yield from send(Request(method="GET", path="/readyz"))
                if answer.status not in (200, 503) or answer.media_type != "application/json":
                    raise UnexpectedAnswer(f"this is no Flawsmith (HTTP {answer.status}); is the URL right?")
                found = record(Readiness.read, answer)
                if found.ready or last:
                    return found
            except NoAnswer:
                if last:
                    raise
            yield from sleep(READY_PAUSE)

    @operation
    def call(self, method: str, path: str, json: Any = None, /, **params: Any) -> Flow[Any]:
        """Any other call of the service: the JSON of its answer, or its bytes.

        A call that changes something has an Idempotency-Key, as all others of this client.
        """
        if method.upper() in ("GET", "HEAD"):
            answer = yield from self._get(path, **params)
        else:
            answer = yield from self._change(method.upper(), path, json, **params)
        return answer.json() if answer.media_type == "application/json" else answer.content
