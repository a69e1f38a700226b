"""The audit log: who changed what is served, and who called what. Append-only files in the artifact store.

Each line is a JSON object. Changes of what is served are in one file for ever; calls, of which there are many more, in
one for each day of UTC, so that an operator can delete old ones.
"""

import fcntl
import json
import logging
import os
from pathlib import Path
from typing import Any

from flawsmith.core.domain.records import now
from flawsmith.core.logs import request_id
from flawsmith.core.store.artifacts import ArtifactStore

log = logging.getLogger(__name__)


class AuditLog:
    """Appends events to ``audit.jsonl``; nothing in Flawsmith changes or removes a line."""

    def __init__(self, store: ArtifactStore) -> None:
        self.path = store.path("audit.jsonl")
        self.calls = store.path("calls")

    def record(self, event: str, **fields: Any) -> None:
        """Appends an event, with its time and the request's id, and logs it. It is on disk when this returns.

        Call this before the change, so that no change is without its line.

        Args:
            event: what happens, such as ``alias_set``.
            fields: what JSON can hold.
        """
        line = json.dumps({"at": _moment(), "event": event, "request_id": request_id.get(), **fields})
        self._append(self.path, line)
        log.info("audit: %s", line)

    def record_call(self, **fields: Any) -> None:
        """Appends a call to the file of its day, ``calls/2026-11-26.jsonl``. It is on disk when this returns."""
        at = _moment()
        self._append(self.calls / f"{at[:10]}.jsonl", json.dumps({"at": at, "request_id": request_id.get(), **fields}))

    def _append(self, path: Path, line: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # on a network file system two appends could overwrite one another
            file.write(self._line_end(file.fileno()) + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _line_end(self, handle: int) -> bytes:
        """A line feed where the last line was cut off by a crash or a full disk."""
        size = os.fstat(handle).st_size
        return b"\n" if size and os.pread(handle, 1, size - 1) != b"\n" else b""


def _moment() -> str:
    return now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
