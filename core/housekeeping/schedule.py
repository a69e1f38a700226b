"""Retention by itself: one process of the site at a time deletes what is due."""

import logging
import threading

from redis.exceptions import RedisError

from flawsmith.core.housekeeping.retention import collect
from flawsmith.core.live import keys
from flawsmith.core.services import Services

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
HOUR = 3600.0


def start_retention(services: Services, stop: threading.Event) -> None:
    """Has a thread delete what is due, once in FLAWSMITH_GC_HOURS for all processes, until ``stop`` is set."""
    rules, hours = services.settings.retention_rules, services.settings.gc_hours
    if not rules or not hours:
        return

    def run() -> None:
        pause = max(1, int(hours * HOUR * 1000))
        while not stop.wait(min(LOOK_SECONDS, hours * HOUR)):
            try:
                if services.redis.set(keys.RETENTION_RUN, 1, nx=True, px=pause):
                    collect(services, rules)
            except RedisError as error:
                log.warning("retention waits for Redis: %s", error)
            except Exception:
                log.exception("retention failed")

    threading.Thread(target=run, name="retention", daemon=True).start()
