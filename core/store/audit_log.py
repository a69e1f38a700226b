"""The audit log: who changed what is served, and who called what. Append-only files in the artifact store.

Each line is a JSON object. Changes of what is served are in one file for ever; calls, of which there are many more, in
one for each day of UTC, so that an operator can delete old ones.
"""

import json
import logging
from typing import Any

from flawsmith.core.domain.records import now
from flawsmith.core.logs import request_id
from flawsmith.core.store.interface import Store

log = logging.getLogger(__name__)


class AuditLog:
    """Appends events to ``audit.jsonl``; nothing in Flawsmith changes or removes a line."""

    def __init__(self, store: Store) -> None:
        self.store, self.path, self.calls = store, store.path("audit.jsonl"), store.path("calls")

    def record(self, event: str, **fields: Any) -> None:
        """Appends an event, with its time and the request's id, and logs it. It is on disk when this returns.

        Call this before the change, so that no change is without its line.

        Args:
            event: what happens, such as ``alias_set``.
            fields: what JSON can hold.
        """
        line = json.dumps({"at": _moment(), "event": event, "request_id": request_id.get(), **fields})
        self.store.append(self.path, line.encode())
        log.info("audit: %s", line)

    def record_call(self, **fields: Any) -> None:
        """Appends a call to the file of its day, ``calls/2026-11-26.jsonl``. It is on disk when this returns."""
        at = _moment()
        line = json.dumps({"at": at, "request_id": request_id.get(), **fields})
        self.store.append(self.calls / f"{at[:10]}.jsonl", line.encode())


def _moment() -> str:
    return now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
