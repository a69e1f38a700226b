"""Which message may run a job's next segment, and which segments are outstanding."""

from pathlib import Path

import pytest
import redis

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.jobs import Job
from flawsmith.core.live.job_repository import JobRepository
from flawsmith.core.live.segment_tokens import SegmentTokens
from flawsmith.core.store.artifacts import ArtifactStore


@pytest.fixture
def jobs(empty_redis: redis.Redis, tmp_path: Path) -> JobRepository:
    return JobRepository(empty_redis, ArtifactStore(tmp_path), [KIND])


@pytest.fixture
def tokens(empty_redis: redis.Redis) -> SegmentTokens:
    return SegmentTokens(empty_redis, KIND.queue)


def create(jobs: JobRepository) -> Job:
    progress = TrainingProgress(total_steps=10)
    return jobs.create(KIND.new_job(config={}, progress=progress, model="m", dataset="ds-1", preset="dcgan"))


def test_only_the_newest_token_runs_a_segment_and_only_once(jobs: JobRepository, tokens: SegmentTokens) -> None:
    job = create(jobs)
    first, second = (tokens.issue(job, KIND.index) for _ in range(2))
    assert tokens.count() == 1
    assert not tokens.redeem(job.id, first)
    assert tokens.redeem(job.id, second)
    assert tokens.count() == 0
    third = tokens.issue(job, KIND.index)
    assert not tokens.redeem(job.id, second)
    assert tokens.redeem(job.id, third)


def test_a_token_that_redis_lost_still_runs_its_segment(
    jobs: JobRepository, tokens: SegmentTokens, empty_redis: redis.Redis
) -> None:
    job = create(jobs)
    token = tokens.issue(job, KIND.index)
    empty_redis.flushall()
    assert tokens.redeem(job.id, token)


def test_an_ended_job_has_no_outstanding_segment(jobs: JobRepository, tokens: SegmentTokens) -> None:
    cancelled, late = create(jobs), create(jobs)
    tokens.issue(cancelled, KIND.index)
    jobs.cancel(cancelled.id)
    jobs.cancel(late.id)
    tokens.issue(late, KIND.index)  # as a submission does that a cancel overtook
    assert tokens.count() == 0
