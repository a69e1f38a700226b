"""Who may train a job, when Redis forgets and when somebody else came."""

from pathlib import Path

import pytest
import redis

from flawsmith.core.live.leases import Lease, LeaseLost
from flawsmith.core.store.artifacts import ArtifactStore


def test_a_holder_takes_its_lease_again_after_redis_was_wiped(empty_redis: redis.Redis, tmp_path: Path) -> None:
    lease = Lease(empty_redis, "job-1")
    assert lease.take()
    lease.claim(ArtifactStore(tmp_path), tmp_path / "claims")
    empty_redis.flushall()
    lease.renew()
    assert not Lease(empty_redis, "job-1").take()
    lease.release()
    assert not empty_redis.exists(lease.key)


def test_a_holder_whose_job_another_claimed_has_lost_it_though_redis_is_empty(
    empty_redis: redis.Redis, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path)
    first = Lease(empty_redis, "job-1")
    assert first.take()
    first.claim(store, tmp_path / "claims")
    empty_redis.flushall()
    second = Lease(empty_redis, "job-1")
    assert second.take()
    second.claim(store, tmp_path / "claims")
    empty_redis.flushall()
    with pytest.raises(LeaseLost):
        first.renew()
    first.release()
    second.renew()
    second.release()
