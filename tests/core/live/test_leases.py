"""Which worker may run a job, after Redis was wiped and after another worker came."""

from pathlib import Path

import pytest
import redis

from flawsmith.core.live.leases import Lease, LeaseLost
from flawsmith.core.store.artifacts import ArtifactStore


def test_a_holder_acquires_its_lease_again_after_redis_was_wiped(empty_redis: redis.Redis, tmp_path: Path) -> None:
    lease = Lease(empty_redis, "job-1", "train")
    assert lease.acquire()
    lease.claim(ArtifactStore(tmp_path), tmp_path / "claims")
    empty_redis.flushall()
    lease.renew()
    assert not Lease(empty_redis, "job-1", "train").acquire()
    lease.release()
    assert not empty_redis.exists(lease.key)


def test_a_later_claim_takes_the_job_even_where_redis_was_wiped(empty_redis: redis.Redis, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    first = Lease(empty_redis, "job-1", "train")
    assert first.acquire()
    first.claim(store, tmp_path / "claims")
    empty_redis.flushall()
    second = Lease(empty_redis, "job-1", "train")
    assert second.acquire()
    second.claim(store, tmp_path / "claims")
    empty_redis.flushall()
    with pytest.raises(LeaseLost):
        first.renew()
    first.release()
    second.renew()
    second.release()
