"""Posts messages to their receivers, and tries again over a day where that fails."""

import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version

import httpcore2
from redis import Redis
from redis.exceptions import RedisError
from standardwebhooks import Webhook as Signer

from flawsmith.core.domain.records import now
from flawsmith.core.domain.webhooks import RETRY_SECONDS, Attempt, Delivery, DeliveryState
from flawsmith.core.live import keys
from flawsmith.core.live.scripts import script
from flawsmith.core.live.webhooks.events import WebhookEvents
from flawsmith.core.live.webhooks.public_connections import PublicConnections
from flawsmith.core.logs import OutageLog
from flawsmith.core.settings import Settings
from flawsmith.core.store.interface import StoreAway
from flawsmith.core.store.webhooks import UnknownWebhook, Webhooks

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
SURVEY_SECONDS = 60  # between two comparisons with the artifact store, for all processes
AT_ONCE = 8  # messages of one process
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 15.0
BUSY_SECONDS = 60.0  # far longer than an attempt
JITTER = 0.1  # share of a wait: receivers that failed at the same time are not retried at the same time
GONE = 410


class Deliveries:
    """Any number of processes may deliver; each message is tried by one of them at a time."""

    def __init__(self, redis: Redis, events: WebhookEvents, webhooks: Webhooks, settings: Settings) -> None:
        self.redis, self.events, self.webhooks = redis, events, webhooks
        self._claim = redis.register_script(script("webhook_claim"))
        self._signers = [Signer(each) for each in settings.webhook_signing_secrets]
        self._connections = httpcore2.ConnectionPool(
            max_connections=AT_ONCE,
            max_keepalive_connections=0,
            network_backend=PublicConnections(settings.webhook_networks, ANSWER_SECONDS),
        )
        self._agent = f"flawsmith/{version('flawsmith')}"
        self._free = threading.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, "webhooks")

    def look(self) -> None:
        """Makes messages of what happened, and begins to deliver those that are due. Raises RedisError, OSError."""
        self.events.look()
        if self.redis.set(keys.WEBHOOKS_SURVEY, 1, nx=True, ex=SURVEY_SECONDS):
            self._enqueue_known()
        while self._free.acquire(blocking=False):
            found = self._claim(keys=[keys.WEBHOOKS_DUE], args=[int(BUSY_SECONDS * 1000)])
            if found is None:
                self._free.release()
                return
            self._threads.submit(self._deliver, found.decode())

    def run(self, stop: threading.Event) -> None:
        """Looks every `LOOK_SECONDS` until ``stop`` is set."""
        outage = OutageLog(log, "deliver webhooks")
        while not stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except (RedisError, StoreAway) as error:
                outage.met(error)
            except Exception:
                log.exception("delivering webhooks failed")
            else:
                outage.over()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _enqueue_known(self) -> None:
        """Adds what Redis does not have: it was wiped, or a process ended before it could add a message."""
        for message_id in self.webhooks.pending_ids():
            try:
                next_at = self.webhooks.message(message_id).next_at
            except UnknownWebhook:
                continue
            if next_at is not None:
                self.redis.zadd(keys.WEBHOOKS_DUE, {message_id: next_at.timestamp() * 1000}, nx=True)

    def _deliver(self, message_id: str) -> None:
        try:
            self._try_once(message_id)
        except (RedisError, OSError) as error:
            log.warning("cannot note what became of message %s: %s; it is sent again", message_id, error)
        except Exception:
            log.exception("message %s", message_id)
        finally:
            self._free.release()

    def _try_once(self, message_id: str) -> None:
        try:
            delivery = self.webhooks.message(message_id)
        except UnknownWebhook:
            self.redis.zrem(keys.WEBHOOKS_DUE, message_id)
            return
        if delivery.state is DeliveryState.PENDING:
            delivery = self._outcome(delivery)
            self.webhooks.record(delivery)
        if delivery.next_at is None:
            self.redis.zrem(keys.WEBHOOKS_DUE, message_id)
        else:
            self.redis.zadd(keys.WEBHOOKS_DUE, {message_id: delivery.next_at.timestamp() * 1000})

    def _outcome(self, delivery: Delivery) -> Delivery:
        """The message after one attempt."""
        if (why := self._unwanted(delivery)) is not None:
            return delivery.attempted(Attempt(at=now(), error=why), None)
        attempt = self._post(delivery)
        if attempt.error is None:
            return delivery.delivered(attempt)
        log.info("message %s to webhook %s: %s", delivery.id, delivery.webhook, attempt.error)
        if attempt.status == GONE:
            self.webhooks.end(delivery.webhook, "its receiver answered 410 Gone")
            return delivery.attempted(attempt, None)
        if delivery.tried >= len(RETRY_SECONDS):
            return delivery.attempted(attempt, None)
        return delivery.attempted(attempt, RETRY_SECONDS[delivery.tried] * random.uniform(1 - JITTER, 1 + JITTER))

    def _unwanted(self, delivery: Delivery) -> str | None:
        """Why nobody waits for a message any more."""
        if not delivery.webhook.startswith("webhook-"):
            return None
        try:
            return self.webhooks.get(delivery.webhook).ended
        except UnknownWebhook:
            return "the webhook was deleted"

    def _post(self, delivery: Delivery) -> Attempt:
        """Redirects are not followed: an answer that is not 2xx is none."""
        at = now()
        seconds = {"connect": CONNECT_SECONDS, "read": ANSWER_SECONDS, "write": ANSWER_SECONDS, "pool": ANSWER_SECONDS}
        try:
            with self._connections.stream(
                "POST",
                delivery.url,
                headers=self._headers(delivery, datetime.fromtimestamp(time.time(), UTC)),
                content=delivery.payload.encode(),
                extensions={"timeout": seconds},
            ) as answer:
                status = answer.status
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, ValueError) as error:
            return Attempt(at=at, error=f"{type(error).__name__}: {error}"[:500])
        if 200 <= status < 300:
            return Attempt(at=at, status=status)
        redirect = "; redirects are not followed" if 300 <= status < 400 else ""
        return Attempt(at=at, status=status, error=f"the receiver answered {status}{redirect}")

    def _headers(self, delivery: Delivery, at: datetime) -> list[tuple[str | bytes, str | bytes]]:
        """Every secret signs, so that a receiver may know the old or the new one."""
        signatures = [each.sign(delivery.id, at, delivery.payload) for each in self._signers]
        return [
            ("content-type", "application/json"),
            ("user-agent", self._agent),
            ("webhook-id", delivery.id),
            ("webhook-timestamp", str(int(at.timestamp()))),
            ("webhook-signature", " ".join(signatures)),
        ]
