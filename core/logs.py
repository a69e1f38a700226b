"""One log format for every process. Each line carries the id of the request that it belongs to."""

import logging
import re
import sys
import time
from contextvars import ContextVar

from flawsmith.core.settings import Settings

request_id: ContextVar[str] = ContextVar("request_id", default="-")

caller_name: ContextVar[str] = ContextVar("caller_name", default="")
"""Whose API key the request has: its id, or a hash of a key of the settings."""

_ACCEPTABLE = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}")


def acceptable_request_id(value: str) -> bool:
    """Whether a caller's request id is safe in a header and in a log line."""
    return _ACCEPTABLE.fullmatch(value) is not None


def configure_logging(settings: Settings, part: str) -> None:
    """Sends this process's log lines to standard error, with UTC times and the name of this part of the service."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_add_request_id)
    # The format uses none of these, and each costs time in every request (see "Optimization" in the logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    formatter = logging.Formatter(
        f"{part:<7}| %(asctime)s.%(msecs)03dZ %(levelname)-7s [%(request_id)s] %(name)s: %(message)s",
        "%Y-%m-%dT%H:%M:%S",
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for chatty in ("celery.worker.strategy", "celery.app.trace", "httpx2", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class OutageLog:
    """Logs an outage that a loop meets again and again: once when it begins, and once when it is over."""

    def __init__(self, log: logging.Logger, task: str) -> None:
        """``task`` is what the loop cannot do, such as ``read the inbox``."""
        self._log, self._task = log, task
        self._since: float | None = None

    def met(self, error: Exception) -> None:
        """The task failed."""
        if self._since is None:
            self._since = time.monotonic()
            self._log.warning("cannot %s: %s", self._task, error)

    def over(self) -> None:
        """The task succeeded."""
        if self._since is not None:
            self._log.info("can %s again, after %.1f s", self._task, time.monotonic() - self._since)
            self._since = None


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = request_id.get()
    return True
