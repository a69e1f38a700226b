"""One log format for every process. Each line carries the ids of what it belongs to: request, job, segment, trace."""

import logging
import re
import sys
import time
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

import structlog

from flawsmith.core.settings import Settings
from flawsmith.core.tracing import current_ids

request_id: ContextVar[str] = ContextVar("request_id", default="-")

caller_name: ContextVar[str] = ContextVar("caller_name", default="")
"""Whose API key the request has: its id, or a hash of a key of the settings."""

job_id: ContextVar[str] = ContextVar("job_id", default="")
"""The job that this process works on."""

segment_id: ContextVar[str] = ContextVar("segment_id", default="")
"""The segment of that job: the id of the message that started it."""

_ACCEPTABLE = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}")
_IDS = {"request_id": request_id, "caller": caller_name, "job_id": job_id, "segment_id": segment_id}
_BEFORE_KEYS = ("bearer", "flawsmith_", "whsec_")
_KEYS = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9_.~+/=-]{6,}|\bflawsmith_[0-9a-f]{20}_[A-Za-z0-9_-]{43}|\bwhsec_\S+")


def acceptable_request_id(value: str) -> bool:
    """Whether a caller's request id is safe in a header and in a log line."""
    return _ACCEPTABLE.fullmatch(value) is not None


def configure_logging(settings: Settings, part: str) -> None:
    """Sends this process's log lines to standard error, with UTC times and the name of this part of the service.

    They are lines of text, or JSON objects of structlog (FLAWSMITH_LOG_FORMAT). Both leave out where the data folder is
    on this host, and keys that got into a message by mistake.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_add_ids)
    # The format uses none of these, and each costs time in every request (see "Optimization" in the logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    redaction = _Redaction(settings)
    handler.setFormatter(_json(part, redaction) if settings.log_format == "json" else _Text(part, redaction))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for chatty in ("celery.worker.strategy", "celery.app.trace", "httpx2", "opentelemetry", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Redaction:
    """Takes out of a line what a log must not tell."""

    def __init__(self, settings: Settings) -> None:
        self._folder = str(settings.data_dir)
        # A whole name: in "/datasets" there is no folder "/data".
        self._place = re.compile(rf"{re.escape(self._folder)}(?![\w.-])")

    def __call__(self, line: str) -> str:
        if self._folder in line:
            line = self._place.sub("$FLAWSMITH_DATA_DIR", line)
        lower = line.lower()
        if not any(map(lower.__contains__, _BEFORE_KEYS)):  # .3 µs of each line, where the search takes 2
            return line
        return _KEYS.sub(lambda match: f"{match[1] or ''}[key]", line)


class _Text(logging.Formatter):
    """Lines for people."""

    def __init__(self, part: str, redaction: _Redaction) -> None:
        super().__init__(
            f"{part:<7}| %(asctime)s.%(msecs)03dZ %(levelname)-7s [%(request_id)s] %(name)s: %(message)s%(of_job)s",
            "%Y-%m-%dT%H:%M:%S",
        )
        self.converter = time.gmtime
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction(super().format(record))


def _json(part: str, redaction: _Redaction) -> logging.Formatter:
    """Lines for programs: one JSON object each."""

    def describe(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        record: logging.LogRecord = event["_record"]
        ids = {name: value for name in _IDS if (value := getattr(record, name, ""))}
        if traced := current_ids():
            ids["trace_id"], ids["span_id"] = traced
        found = {"timestamp": _moment(record), "level": record.levelname.lower(), "part": part, "logger": record.name}
        return {**found, **ids, **event}

    def render(logger: Any, name: str, event: Mapping[str, Any]) -> str:
        return redaction(str(structlog.processors.JSONRenderer(default=str)(logger, name, dict(event))))

    return structlog.stdlib.ProcessorFormatter(
        processors=[
            describe,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            render,
        ]
    )


def _moment(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


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


def _add_ids(record: logging.LogRecord) -> bool:
    for name, variable in _IDS.items():
        setattr(record, name, variable.get())
    segment = segment_id.get()
    record.of_job = f" (job {job_id.get()}, segment {segment})" if segment else ""
    return True
