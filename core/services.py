"""What one process of the service works with: its settings, its Redis, the artifact store, and what lives in them."""

import threading

from redis import Redis

from flawsmith.core.job_kinds import job_kinds
from flawsmith.core.live.connections import ANSWER_SECONDS, WORKER_RETRIES, connect, image_redis_url, redis_url
from flawsmith.core.live.drift_watch import DriftWatch
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.live.job_history import JobHistory
from flawsmith.core.live.job_repository import JobRepository
from flawsmith.core.live.reaper import JobReaper, SamplingReaper, start_reaper
from flawsmith.core.live.task_queues import Queues
from flawsmith.core.live.webhooks.deliveries import Deliveries
from flawsmith.core.live.webhooks.events import WebhookEvents
from flawsmith.core.settings import Settings
from flawsmith.core.store.aliases import Aliases
from flawsmith.core.store.audit_log import AuditLog
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.opened import STORE_SECONDS, open_store
from flawsmith.core.store.priors import Priors
from flawsmith.core.store.registry import Registry
from flawsmith.core.store.usage import StorageUse
from flawsmith.core.store.webhooks import Webhooks


class Services:
    """Made once in each process: by the API's lifespan, and at a worker's start.

    ``image_redis`` has what may be lost: image pools, sampling queue, inboxes, image cache. It is ``redis`` unless the
    settings name a second server.
    """

    def __init__(
        self,
        settings: Settings,
        redis_retries: int = WORKER_RETRIES,
        answer_seconds: float = ANSWER_SECONDS,
        store_seconds: float = STORE_SECONDS,
    ) -> None:
        self.settings = settings
        self.redis = self.image_redis = connect(settings, redis_retries, answer_seconds)
        if (url := image_redis_url(settings)) != redis_url(settings):
            self.image_redis = connect(settings, redis_retries, answer_seconds, url)
        self.store = open_store(settings, store_seconds)
        self.usage = StorageUse(self.store)
        self.datasets = Datasets(self.store, settings)
        self.registry = Registry(self.store)
        self.priors = Priors(settings.priors_dir)
        self.audit = AuditLog(self.store)
        self.jobs = JobRepository(self.redis, self.store, job_kinds())
        self.history = JobHistory(self.redis, self.store)
        self.webhooks = Webhooks(self.store)
        self.webhook_events = WebhookEvents(self.redis, self.jobs, self.webhooks, Aliases(self.store))
        self.queues = Queues(settings, self.redis, job_kinds(), self.image_redis)

    @property
    def redis_servers(self) -> dict[str, Redis]:
        """The one server, or both, by what messages call them."""
        second = {} if self.image_redis is self.redis else {"image redis": self.image_redis}
        return {"redis": self.redis, **second}

    def start_reaper(self, stop: threading.Event) -> None:
        """Has a thread look for lost work until ``stop`` is set."""
        replenisher = PoolReplenisher(self.image_redis, self.settings)
        sampling = SamplingReaper(self.image_redis, replenisher, self.queues)
        queues = sorted({kind.queue for kind in job_kinds()})
        jobs = [JobReaper(self.redis, self.jobs, self.queues, queue) for queue in queues]
        stored = self.registry, self.datasets, self.jobs
        drift = DriftWatch(self.redis, *stored, self.queues, self.settings.drift_hours, self.image_redis)
        start_reaper([sampling.look, *(each.look for each in jobs), drift.look], stop)

    def start_webhooks(self, stop: threading.Event) -> None:
        """Has a thread deliver messages until ``stop`` is set. Without a secret none can be signed."""
        if self.settings.webhook_signing_secrets:
            deliveries = Deliveries(self.redis, self.webhook_events, self.webhooks, self.settings)
            threading.Thread(target=deliveries.run, args=[stop], name="webhooks", daemon=True).start()
