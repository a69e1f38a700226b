"""Notes and tags in the records of jobs: whatever else is written, and in whatever order, they stay."""

from pathlib import Path
from typing import Any

import pytest
import redis

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.jobs import Job, JobState
from flawsmith.core.domain.remarks import RemarksChange, RemarksFilter
from flawsmith.core.live import keys
from flawsmith.core.live.job_repository import JobRepository, UnknownJob
from flawsmith.core.store.artifacts import ArtifactStore


@pytest.fixture
def jobs(empty_redis: redis.Redis, tmp_path: Path) -> JobRepository:
    return JobRepository(empty_redis, ArtifactStore(tmp_path), [KIND])


def create(jobs: JobRepository) -> Job:
    progress = TrainingProgress(total_steps=10)
    return jobs.create(KIND.new_job(config={}, progress=progress, model="m", dataset="ds-1", preset="dcgan"))


def noted(**body: Any) -> Any:
    return RemarksChange.model_validate(body).of


def test_remarks_stay_with_a_job_through_its_life_and_a_wiped_redis(jobs: JobRepository) -> None:
    job = create(jobs)
    jobs.remark(job.id, KIND, noted(note="new lamp", tags=["line-3"]))
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        jobs.remark(job.id, KIND, noted(add_tags=["rust"]))
        jobs.report(lease, {"losses": {"discriminator_loss": 1.0}})
        jobs.finish(lease, JobState.SUCCEEDED, "published m@1", produced="m@1")
    jobs.remark(job.id, KIND, noted(remove_tags=["line-3"]))
    before = jobs.get(job.id)
    assert (before.note, before.tags, before.state) == ("new lamp", ["rust"], JobState.SUCCEEDED)
    jobs.redis.flushall()
    assert jobs.get(job.id) == before


def test_a_late_write_of_a_state_loses_no_remarks_and_the_other_way_round(jobs: JobRepository) -> None:
    """Two processes change a job in Redis, and write it to the artifact store in the other order."""
    job = create(jobs)
    cancelled = jobs.cancel(job.id)
    remarked = jobs.remark(job.id, KIND, noted(note="seen"))
    for late in (cancelled, job, job.changed(note="seen", noted_at=remarked.noted_at)):
        jobs._persist(late)
        stored = KIND.record.model_validate_json(jobs.store.path("jobs", job.id, "record.json").read_bytes())
        assert (stored.state, stored.note) == (JobState.CANCELLED, "seen")


def test_remarks_that_redis_lost_with_its_last_second_come_back(jobs: JobRepository) -> None:
    job = create(jobs)
    before = jobs.redis.get(keys.job(job.id))
    jobs.remark(job.id, KIND, noted(tags=["kept"]))
    jobs.redis.set(keys.job(job.id), before)
    jobs.redis.set(keys.JOBS_RESTORED, "a server before this one")
    jobs.catch_up()
    assert jobs.get(job.id).tags == ["kept"]


def test_remarks_of_a_deleted_job_bring_nothing_back(jobs: JobRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    job = create(jobs)
    jobs.cancel(job.id)
    persist = jobs._persist

    def after_deletion(changed: Job) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(jobs, "_persist", persist)
            jobs.delete(job.id)
        persist(changed)

    monkeypatch.setattr(jobs, "_persist", after_deletion)
    jobs.remark(job.id, KIND, noted(note="too late"))
    jobs.redis.flushall()
    with pytest.raises(UnknownJob):
        jobs.get(job.id)


def test_lists_are_narrowed_page_by_page(jobs: JobRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flawsmith.core.live.job_repository.SEARCHED_AT_ONCE", 2)
    made = [create(jobs) for _ in range(7)]
    for each in made[::3]:
        jobs.remark(each.id, KIND, noted(tags=["third"], note="Every THIRD one"))
    wanted = RemarksFilter.of("third", "third every")
    first = jobs.page(KIND, None, 2, None, wanted)
    assert [each.id for each in first] == [made[6].id, made[3].id]
    assert [each.id for each in jobs.page(KIND, None, 2, made[3].id, wanted)] == [made[0].id]
    assert jobs.page(KIND, JobState.RUNNING, 2, None, wanted) == []
    assert len(jobs.page(KIND, None, 10, None, RemarksFilter.of(None, "dcgan"))) == 7
