"""The HTTP client of the commands that talk to a running service."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from flawsmith.core.settings import get_settings


class Refused(Exception):
    """The service answered with an error; the message is the detail of the problem."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def connect(url: str = "") -> httpx2.Client:
    """A client of the service at ``url``, by default on this machine. It sends the first key of FLAWSMITH_API_KEYS."""
    settings = get_settings()
    key = next(iter(settings.keys), None)
    return httpx2.Client(
        base_url=url or f"http://127.0.0.1:{settings.port}",
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx2.Timeout(60.0, connect=5.0),
        event_hooks={"response": [_raise_problem]},
    )


@contextmanager
def explained() -> Iterator[None]:
    """Ends the command with one line instead of a traceback where the service refuses a call or cannot be reached."""
    try:
        yield
    except Refused as error:
        sys.exit(f"refused: {error}")
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        sys.exit(f"no answer from the service ({error}); is it running, and is --url right?")


def _raise_problem(response: httpx2.Response) -> None:
    if response.status_code >= 400:
        response.read()
        problem = response.headers.get("content-type", "").startswith("application/problem+json")
        raise Refused(
            response.status_code,
            response.json()["detail"] if problem else f"{response.status_code} from {response.url}",
        )
