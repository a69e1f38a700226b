"""A job's life in Redis and in the artifact store."""

from pathlib import Path
from typing import Any

import pytest
import redis

from flawsmith.core.domain.records import Health, Job, JobState, Progress
from flawsmith.core.live import keys
from flawsmith.core.live.jobs import JobEnded, Jobs, UnknownJob
from flawsmith.core.live.leases import LeaseLost
from flawsmith.core.store.artifacts import ArtifactStore


@pytest.fixture
def jobs(empty_redis: redis.Redis, tmp_path: Path) -> Jobs:
    return Jobs(empty_redis, ArtifactStore(tmp_path))


def create(jobs: Jobs, **config: Any) -> Job:
    return jobs.create(model="m", dataset="ds-1", preset="dcgan", config={"total_steps": 10, **config})


def test_a_job_goes_from_queued_over_running_to_its_end(jobs: Jobs) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        assert jobs.report(lease, Progress(step=5, total_steps=10), {"discriminator_loss": 1.0}, Health())
        jobs.finish(lease, JobState.SUCCEEDED, "published m@1", produced="m@1")
    ended = jobs.get(job.id)
    assert [each.state for each in ended.transitions] == ["queued", "running", "succeeded"]
    assert (ended.progress.step, ended.produced, ended.worker) == (5, "m@1", "train-1")
    assert jobs.counts() == {"queued": 0, "running": 0, "succeeded": 1, "failed": 0, "cancelled": 0}


def test_one_worker_at_a_time_has_a_job(jobs: Jobs) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as first, jobs.lease(job.id) as second:
        assert first is not None
        assert second is None
    with jobs.lease(job.id) as third:
        assert third is not None


def test_a_worker_that_lost_its_lease_writes_nothing(jobs: Jobs) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        jobs.redis.set(keys.job_lease(job.id), "somebody else")
        with pytest.raises(LeaseLost):
            jobs.finish(lease, JobState.SUCCEEDED, "late")
    assert jobs.get(job.id).state is JobState.RUNNING
    assert jobs.redis.get(keys.job_lease(job.id)) == b"somebody else"


def test_a_cancelled_job_tells_its_worker_and_stays_cancelled(jobs: Jobs) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        jobs.cancel(job.id)
        assert not jobs.report(lease, Progress(step=5, total_steps=10), {}, Health())
        assert jobs.finish(lease, JobState.FAILED, "too late").state is JobState.CANCELLED
        assert jobs.begin(lease, "train-1") is None
    with pytest.raises(JobEnded):
        jobs.cancel(job.id)
    assert jobs.resume(job.id).state is JobState.QUEUED


def test_all_jobs_are_back_after_redis_was_wiped(jobs: Jobs) -> None:
    created = [create(jobs) for _ in range(3)]
    jobs.cancel(created[1].id)
    before = [jobs.get(job.id) for job in created]
    jobs.redis.flushall()
    assert [jobs.get(job.id) for job in created] == before
    assert jobs.counts()["cancelled"] == 1


def test_jobs_are_listed_newest_first_page_by_page_and_by_state(jobs: Jobs) -> None:
    ids = [create(jobs).id for _ in range(5)][::-1]
    jobs.cancel(ids[2])
    assert [job.id for job in jobs.page(None, 2, None)] == ids[:2]
    assert [job.id for job in jobs.page(None, 9, ids[1])] == ids[2:]
    assert [job.id for job in jobs.page(JobState.CANCELLED, 9, None)] == [ids[2]]
    assert jobs.unfinished_with("ds-1") == sorted(set(ids) - {ids[2]})


def test_an_unknown_job_is_said_to_be_unknown(jobs: Jobs) -> None:
    with pytest.raises(UnknownJob):
        jobs.get("job-nowhere")
    with pytest.raises(UnknownJob):
        jobs.cancel("job-nowhere")


def test_what_redis_lost_of_its_last_second_comes_back(jobs: Jobs) -> None:
    ended, forgotten = create(jobs), create(jobs)
    before = jobs.redis.get(keys.job(ended.id))
    jobs.cancel(ended.id)
    jobs.redis.set(keys.job(ended.id), before or b"")
    jobs.redis.zrem(keys.jobs_in(JobState.CANCELLED), ended.id)
    jobs.redis.zadd(keys.jobs_in(JobState.QUEUED), {ended.id: 0})
    jobs.redis.delete(keys.job(forgotten.id))
    jobs.redis.zrem(keys.jobs_in(JobState.QUEUED), forgotten.id)
    jobs.redis.set(keys.JOBS_RESTORED, "a server before this one")
    jobs.catch_up()
    assert jobs.get(ended.id).state is JobState.CANCELLED
    assert jobs.unfinished() == [forgotten.id]


def fall(jobs: Jobs, job: Job, *, at_checkpoint: int) -> Job:
    """One attempt that ends with an error."""
    jobs.store.write_json(jobs.store.path("jobs", job.id, "checkpoints", f"{at_checkpoint:09d}", "checkpoint.json"), {})
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        return jobs.record_failure(lease, "it broke")


def test_three_errors_without_a_new_checkpoint_end_a_job_and_a_resume_gives_it_three_more(jobs: Jobs) -> None:
    job = create(jobs)
    assert [fall(jobs, job, at_checkpoint=2).state for _ in range(2)] == ["queued", "queued"]
    assert fall(jobs, job, at_checkpoint=4).failures.errors == 1
    assert fall(jobs, job, at_checkpoint=4).state is JobState.QUEUED
    failed = fall(jobs, job, at_checkpoint=4)
    assert (failed.state, failed.error) == (JobState.FAILED, "it broke")
    assert failed.transitions[-2].reason.startswith("taken by")
    jobs.resume(job.id)
    assert fall(jobs, job, at_checkpoint=4).state is JobState.QUEUED


def test_a_worker_that_vanishes_every_time_ends_a_job_in_words(jobs: Jobs) -> None:
    job = create(jobs)
    for attempt in range(10):
        with jobs.lease(job.id) as lease:
            assert lease is not None
            jobs.begin(lease, "train-1")
            assert jobs.reclaim(job.id).state is JobState.RUNNING, "a job in hand is not taken away"
        assert jobs.reclaim(job.id).state is (JobState.QUEUED if attempt < 9 else JobState.FAILED)
    assert "batch_size" in str(jobs.get(job.id).error)


def test_history_is_that_of_the_checkpoint_and_of_what_came_since(jobs: Jobs) -> None:
    job = create(jobs)
    folder = jobs.store.path("jobs", job.id, "checkpoints")
    jobs.store.write_json(folder / "000000002" / "checkpoint.json", {"history": [{"step": 1}, {"step": 2}]})
    jobs.record_history(job.id, [{"step": 2}, {"step": 3}])
    assert jobs.history(job.id) == [{"step": 1}, {"step": 2}, {"step": 3}]
    jobs.store.write_bytes(folder / "000000003" / "checkpoint.json", b"damaged")
    jobs.redis.flushall()
    assert jobs.history(job.id) == [{"step": 1}, {"step": 2}]


def test_one_record_that_cannot_be_read_hides_no_other(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    damaged, whole = create(jobs), create(jobs)
    jobs.store.path("jobs", damaged.id, "record.json").write_bytes(b"{")
    jobs.redis.flushall()
    assert [each.id for each in jobs.page(None, 10, None)] == [whole.id]
    assert f"cannot read the record of {damaged.id}" in caplog.text


def test_a_job_that_was_published_as_it_was_cancelled_says_what_it_produced(jobs: Jobs) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        jobs.cancel(job.id)
        jobs.finish(lease, JobState.SUCCEEDED, "published m@1", produced="m@1")
    ended = jobs.get(job.id)
    assert (ended.state, ended.produced) == (JobState.CANCELLED, "m@1")


def test_a_job_cancelled_and_resumed_under_its_worker_goes_on_as_running(jobs: Jobs) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        jobs.cancel(job.id)
        jobs.resume(job.id)
        assert jobs.report(lease, Progress(step=5, total_steps=10), {}, Health())
    assert jobs.get(job.id).state is JobState.RUNNING
