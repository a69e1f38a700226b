"""What one process of the service works with: its settings, its Redis, the store and what lives in them."""

from core.artifacts import ArtifactStore
from core.connections import ANSWER_SECONDS, WORKER_RETRIES, connect
from core.datasets import Datasets
from core.jobs import Jobs
from core.queues import Queues
from core.registry import Registry
from core.settings import Settings


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
