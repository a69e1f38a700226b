"""The client of the commands that talk to a running service, and their errors in one line."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from flawsmith.client import Client, FlawsmithError
from flawsmith.client.clients import default_url
from flawsmith.client.errors import JobError, NoAnswer, Problem, UnexpectedAnswer, WrongUrl

REFUSED, NO_ANSWER = 1, 3  # exit statuses; 2 is a wrong command line
WORTH_A_LINE_SECONDS = 1.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def connect(url: str = "", key: str = "") -> Client:
    """A client of the service at ``url``.

    Args:
        url: "": FLAWSMITH_URL, else the service on this machine, at FLAWSMITH_PORT.
        key: "": FLAWSMITH_API_KEY, else, for a service on this machine, the first of FLAWSMITH_API_KEYS.
    """
    url = url or default_url()
    return Client(url, key or os.environ.get("FLAWSMITH_API_KEY") or _own_key(url), on_retry=_say_why)


@contextmanager
def explained() -> Iterator[None]:
    """Ends the command with one line and a status, instead of a traceback."""
    try:
        yield
    except Problem as error:
        _end(f"refused: {error}", REFUSED)
    except (NoAnswer, WrongUrl) as error:
        _end(f"no answer from the service ({error}); is it running, and is --url right?", NO_ANSWER)
    except UnexpectedAnswer as error:
        _end(str(error), NO_ANSWER)
    except JobError as error:
        _end(str(error), REFUSED)
    except (FlawsmithError, OSError, ValueError) as error:
        _end(str(error), REFUSED)


def _end(line: str, status: int) -> None:
    print(" ".join(line.split()), file=sys.stderr)
    sys.exit(status)


def _own_key(url: str) -> str:
    """A key of the service on this machine, for no other one."""
    set_here = any(os.environ.get(f"FLAWSMITH_API_KEYS{suffix}") for suffix in ("", "_FILE"))
    if not set_here or urlsplit(url).hostname not in _LOOPBACK:
        return ""
    from flawsmith.core.settings import get_settings

    return next(iter(get_settings().keys), "")


def _say_why(error: FlawsmithError, seconds: float) -> None:
    """Tells a person why nothing happens for a while."""
    if isinstance(error, Problem) and seconds >= WORTH_A_LINE_SECONDS:
        print(f"{error}; trying again in {seconds:.0f} s", file=sys.stderr)
