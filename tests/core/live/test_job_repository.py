"""A job's record in Redis and in the artifact store, its states and its history."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from flawsmith.core.domain.job_kinds.training import KIND, TrainingJob, TrainingProgress
from flawsmith.core.domain.job_states import JobEnded, JobUnfinished
from flawsmith.core.domain.jobs import FailureCounts, Job, JobState
from flawsmith.core.live import keys
from flawsmith.core.live.job_history import JobHistory
from flawsmith.core.live.job_repository import JobRepository, UnknownJob
from flawsmith.core.live.leases import LeaseLost
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.claims import ClaimLost


@pytest.fixture
def jobs(empty_redis: redis.Redis, tmp_path: Path) -> JobRepository:
    return JobRepository(empty_redis, ArtifactStore(tmp_path), [KIND])


def create(jobs: JobRepository, **config: Any) -> Job:
    progress = TrainingProgress(total_steps=10)
    return jobs.create(
        KIND.new_job(
            config={"resolution": 32, "batch_size": 8, **config},
            progress=progress,
            model="m",
            dataset="ds-1",
            preset="dcgan",
        )
    )


REPORT = {"progress": TrainingProgress(step=5, total_steps=10), "losses": {"discriminator_loss": 1.0}}


def test_a_job_is_queued_then_running_then_succeeded(jobs: JobRepository) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        assert jobs.report(lease, REPORT)
        jobs.finish(lease, JobState.SUCCEEDED, "published m@1", produced="m@1")
    ended = jobs.get(job.id)
    assert isinstance(ended, TrainingJob)
    assert [each.state for each in ended.transitions] == ["queued", "running", "succeeded"]
    assert (ended.progress.step, ended.produced, ended.worker) == (5, "m@1", "train-1")
    assert jobs.counts() == {"queued": 0, "running": 0, "succeeded": 1, "failed": 0, "cancelled": 0}


def test_one_worker_at_a_time_holds_a_job(jobs: JobRepository) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as first, jobs.lease(job.id) as second:
        assert first is not None
        assert second is None
    with jobs.lease(job.id) as third:
        assert third is not None


def test_a_worker_without_the_lease_cannot_write(jobs: JobRepository) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        jobs.redis.set(keys.job_lease(job.id), "somebody else")
        with pytest.raises(LeaseLost):
            jobs.finish(lease, JobState.SUCCEEDED, "late")
    assert jobs.get(job.id).state is JobState.RUNNING
    assert jobs.redis.get(keys.job_lease(job.id)) == b"somebody else"


def test_the_report_of_a_cancelled_job_stops_its_worker_and_it_stays_cancelled(jobs: JobRepository) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        jobs.cancel(job.id)
        assert not jobs.report(lease, REPORT)
        assert jobs.finish(lease, JobState.FAILED, "too late").state is JobState.CANCELLED
        assert jobs.begin(lease, "train-1") is None
    with pytest.raises(JobEnded):
        jobs.cancel(job.id)
    assert jobs.resume(job.id).state is JobState.QUEUED


def test_all_jobs_are_restored_after_redis_was_wiped(jobs: JobRepository) -> None:
    created = [create(jobs) for _ in range(3)]
    jobs.cancel(created[1].id)
    before = [jobs.get(job.id) for job in created]
    jobs.redis.flushall()
    assert [jobs.get(job.id) for job in created] == before
    assert jobs.counts()["cancelled"] == 1


def test_a_record_of_commit_b2444ae_is_read(jobs: JobRepository) -> None:
    job = create(jobs)
    record = json.loads(job.model_dump_json())
    del record["kind"], record["failures"]
    old = record | {"setbacks": {"step": 260, "errors": 1, "silences": 2}}
    jobs.store.write_json(jobs.store.path("jobs", job.id, "record.json"), old)
    jobs.redis.flushall()
    restored = jobs.get(job.id)
    assert restored.kind == "training"
    assert restored.failures == FailureCounts(step=260, errors=1, lost_workers=2)
    assert jobs.redis.zrange("flawsmith:jobs:queued", 0, -1) == [job.id.encode()], "where b2444ae looks for it"


def test_jobs_are_listed_newest_first_page_by_page_and_by_state(jobs: JobRepository) -> None:
    ids = [create(jobs).id for _ in range(5)][::-1]
    jobs.cancel(ids[2])
    assert [job.id for job in jobs.page(KIND, None, 2, None)] == ids[:2]
    assert [job.id for job in jobs.page(KIND, None, 9, ids[1])] == ids[2:]
    assert [job.id for job in jobs.page(KIND, JobState.CANCELLED, 9, None)] == [ids[2]]
    assert jobs.unfinished_with("ds-1") == sorted(set(ids) - {ids[2]})


def test_an_unknown_id_raises(jobs: JobRepository) -> None:
    with pytest.raises(UnknownJob):
        jobs.get("job-nowhere")
    with pytest.raises(UnknownJob):
        jobs.cancel("job-nowhere")


def test_changes_that_a_restarted_redis_lost_are_restored(jobs: JobRepository) -> None:
    ended, forgotten = create(jobs), create(jobs)
    before = jobs.redis.get(keys.job(ended.id))
    jobs.cancel(ended.id)
    jobs.redis.set(keys.job(ended.id), before or b"")
    jobs.redis.zrem(keys.jobs_in("jobs", JobState.CANCELLED), ended.id)
    jobs.redis.zadd(keys.jobs_in("jobs", JobState.QUEUED), {ended.id: 0})
    jobs.redis.delete(keys.job(forgotten.id))
    jobs.redis.zrem(keys.jobs_in("jobs", JobState.QUEUED), forgotten.id)
    jobs.redis.set(keys.JOBS_RESTORED, "a server before this one")
    jobs.catch_up()
    assert jobs.get(ended.id).state is JobState.CANCELLED
    assert jobs.unfinished_with("ds-1") == [forgotten.id]


def fail(jobs: JobRepository, job: Job, *, at_checkpoint: int) -> Job:
    """One attempt that ends with an error."""
    jobs.store.write_json(jobs.store.path("jobs", job.id, "checkpoints", f"{at_checkpoint:09d}", "checkpoint.json"), {})
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        return jobs.record_failure(lease, "it broke")


def test_three_errors_without_a_new_checkpoint_fail_a_job_and_a_resume_allows_three_more(jobs: JobRepository) -> None:
    job = create(jobs)
    assert [fail(jobs, job, at_checkpoint=2).state for _ in range(2)] == ["queued", "queued"]
    assert fail(jobs, job, at_checkpoint=4).failures.errors == 1
    assert fail(jobs, job, at_checkpoint=4).state is JobState.QUEUED
    failed = fail(jobs, job, at_checkpoint=4)
    assert (failed.state, failed.error) == (JobState.FAILED, "it broke")
    assert failed.transitions[-2].reason.startswith("begun by")
    jobs.resume(job.id)
    assert fail(jobs, job, at_checkpoint=4).state is JobState.QUEUED


def test_ten_lost_workers_fail_a_job_with_advice(jobs: JobRepository) -> None:
    job = create(jobs)
    for attempt in range(10):
        with jobs.lease(job.id) as lease:
            assert lease is not None
            jobs.begin(lease, "train-1")
            assert jobs.record_lost_worker(job.id).state is JobState.RUNNING, "a leased job has a worker"
        assert jobs.record_lost_worker(job.id).state is (JobState.QUEUED if attempt < 9 else JobState.FAILED)
    assert "batch_size" in str(jobs.get(job.id).error)


def test_history_joins_the_checkpoint_and_the_steps_since(jobs: JobRepository) -> None:
    job = create(jobs)
    folder = jobs.store.path("jobs", job.id, "checkpoints")
    jobs.store.write_json(folder / "000000002" / "checkpoint.json", {"history": [{"step": 1}, {"step": 2}]})
    history = JobHistory(jobs.redis, jobs.store)
    history.record(job.id, [{"step": 2}, {"step": 3}])
    assert history.read(job.id) == [{"step": 1}, {"step": 2}, {"step": 3}]
    jobs.store.write_bytes(folder / "000000003" / "checkpoint.json", b"damaged")
    jobs.redis.flushall()
    assert history.read(job.id) == [{"step": 1}, {"step": 2}]


def test_a_damaged_record_does_not_hide_the_others(jobs: JobRepository, caplog: pytest.LogCaptureFixture) -> None:
    damaged, whole = create(jobs), create(jobs)
    jobs.store.path("jobs", damaged.id, "record.json").write_bytes(b"{")
    jobs.redis.flushall()
    assert [each.id for each in jobs.page(KIND, None, 10, None)] == [whole.id]
    assert f"cannot read the record of {damaged.id}" in caplog.text


def test_a_job_cancelled_while_it_published_shows_what_it_produced(jobs: JobRepository) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        jobs.cancel(job.id)
        jobs.finish(lease, JobState.SUCCEEDED, "published m@1", produced="m@1")
    ended = jobs.get(job.id)
    assert isinstance(ended, TrainingJob)
    assert (ended.state, ended.produced) == (JobState.CANCELLED, "m@1")


def test_a_job_cancelled_and_resumed_before_its_worker_noticed_is_running(jobs: JobRepository) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        jobs.cancel(job.id)
        jobs.resume(job.id)
        assert jobs.report(lease, REPORT)
    assert jobs.get(job.id).state is JobState.RUNNING


def test_a_job_that_has_ended_can_be_deleted_for_good(jobs: JobRepository) -> None:
    job, other = create(jobs), create(jobs)
    history = JobHistory(jobs.redis, jobs.store)
    history.record(job.id, [{"step": 1}])
    with pytest.raises(JobUnfinished, match="is queued; cancel it first"):
        jobs.delete(job.id)
    jobs.cancel(job.id)
    jobs.delete(job.id, KIND)
    jobs.redis.flushall()  # a restore must not bring it back
    with pytest.raises(UnknownJob):
        jobs.get(job.id)
    assert [each.id for each in jobs.page(KIND, None, 10, None)] == [other.id]
    assert history.read(job.id) == []
    with pytest.raises(UnknownJob):
        jobs.delete(job.id)


def killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_deletion_that_was_killed_halfway_is_finished_by_the_next_one(
    jobs: JobRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = create(jobs)
    jobs.cancel(job.id)
    with monkeypatch.context() as patch:
        patch.setattr(jobs.store, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            jobs.delete(job.id)
    jobs.delete(job.id)
    jobs.redis.flushall()
    assert jobs.page(KIND, None, 10, None) == []


def test_the_worker_of_a_deleted_job_brings_nothing_of_it_back(jobs: JobRepository) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        claim = lease.claim(jobs.store, jobs.store.path("jobs", job.id, "claims"))
        jobs.begin(lease, "train-1")
        jobs.cancel(job.id)
        jobs.delete(job.id)
        with pytest.raises(UnknownJob):
            jobs.report(lease, REPORT)
        with pytest.raises(ClaimLost), claim.staged():
            pass
    jobs.redis.flushall()
    assert jobs.counts()["cancelled"] == 0


def test_a_restore_that_has_read_the_record_does_not_bring_a_deleted_job_back(
    jobs: JobRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = create(jobs)
    jobs.cancel(job.id)
    with monkeypatch.context() as patch:
        patch.setattr(jobs.store, "delete", lambda path: None)  # the deletion is between its two steps
        jobs.delete(job.id)
        jobs.redis.set(keys.JOBS_RESTORED, "a server before this one")
        jobs.catch_up()
    assert jobs.page(KIND, None, 10, None) == []


def test_a_history_outlives_the_checkpoints(jobs: JobRepository) -> None:
    job = create(jobs)
    folder = jobs.store.path("jobs", job.id, "checkpoints")
    jobs.store.write_json(folder / "000000002" / "checkpoint.json", {"history": [{"step": 1}, {"step": 2}]})
    history = JobHistory(jobs.redis, jobs.store)
    history.outlive_checkpoints(job.id)
    jobs.store.delete(folder)
    assert history.read(job.id) == [{"step": 1}, {"step": 2}]
