"""The audit log: who changed what is served. An append-only file in the artifact store, a JSON object a line."""

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
        self.store, self.path = store, store.path("audit.jsonl")

    def record(self, event: str, **fields: Any) -> None:
        """Appends an event, with its time and the request's id, and logs it. It is on disk when this returns.

        Call this before the change, so that no change is without its line.

        Args:
            event: what happens, such as ``alias_set``.
            fields: what JSON can hold.
        """
        at = now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"at": at, "event": event, "request_id": request_id.get(), **fields})
        self.store.append(self.path, line.encode())
        log.info("audit: %s", line)
