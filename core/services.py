"""What one process of the service works with: its settings, its Redis, the store and what lives in them."""

from flawsmith.core.live.connections import ANSWER_SECONDS, WORKER_RETRIES, connect
from flawsmith.core.live.jobs import Jobs
from flawsmith.core.live.task_queues import Queues
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.registry import Registry


class Services:
    """Wired once in each process, by the API's lifespan and by the worker's start."""

    def __init__(
        self, settings: Settings, redis_retries: int = WORKER_RETRIES, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self.settings = settings
        self.redis = connect(settings, redis_retries, answer_seconds)
        self.store = ArtifactStore(settings.data_dir / "artifacts")
        self.datasets = Datasets(self.store, settings)
        self.jobs = Jobs(self.redis, self.store)
        self.registry = Registry(self.store)
        self.queues = Queues(settings, self.redis)
