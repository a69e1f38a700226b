"""Opens the artifact store that the settings name."""

from flawsmith.core.setting_values import bucket_address
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.interface import Store

STORE_SECONDS = 30.0  # that a worker waits for a bucket, before it gives the job back
QUICK_STORE_SECONDS = 3.0  # where a caller waits


def open_store(settings: Settings, patience: float) -> Store:
    """The store in a folder, or in a bucket.

    Args:
        settings: of this process.
        patience: seconds that a request to a bucket is tried for.
    """
    if not settings.artifact_store:
        return ArtifactStore(settings.data_dir / "artifacts")
    # Only who has a bucket needs these packages.
    from flawsmith.core.store.object_store.blob_cache import BlobCache
    from flawsmith.core.store.object_store.bucket import Bucket
    from flawsmith.core.store.object_store.store import BucketStore

    local = settings.data_dir / "artifact-cache"
    cache = BlobCache(local / "blobs", settings.artifact_cache_bytes)
    return BucketStore(Bucket(*bucket_address(settings.artifact_store), patience), local, cache)
