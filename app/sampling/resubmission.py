"""Enqueues again what Redis may have lost: a server that was restarted or wiped forgets what requests wait for."""

import logging
import time

from flawsmith.app.sampling.inbox import Inbox, PendingRequest
from flawsmith.app.sampling.workers import SamplingWorkers
from flawsmith.core.live.sampling_queue import Producer

log = logging.getLogger(__name__)

SILENCE_SECONDS = 2.0  # a request that received nothing for so long is enqueued again


class Resubmitter:
    """Enqueues the missing images of silent requests again. An address that is still queued stays in its place."""

    def __init__(self, inbox: Inbox, producer: Producer, workers: SamplingWorkers) -> None:
        self.inbox, self.producer, self.workers = inbox, producer, workers

    async def resubmit(self) -> None:
        """Looks at every pending request once."""
        now = time.monotonic()
        for pending in list(self.inbox.pending.values()):
            if now - pending.last_news > SILENCE_SECONDS and pending.missing and now < pending.deadline:
                pending.last_news = now
                try:
                    await self._enqueue_again(pending, pending.deadline - now)
                except Exception as error:  # the next look may succeed
                    log.warning("cannot enqueue a waiting request again: %s", error)

    async def _enqueue_again(self, pending: PendingRequest, seconds: float) -> None:
        if pending.subscriber.request not in self.inbox.pending:
            return
        missing = list(pending.missing)
        if await self.producer.enqueue(pending.subscriber, pending.version, missing, seconds, 1, resubmission=True):
            self.workers.wake()
