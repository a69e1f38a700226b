"""Jobs without a worker and without a message are found and requeued; all others are left alone."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.jobs import Job
from flawsmith.core.live import keys
from flawsmith.core.live import reaper as reaper_module
from flawsmith.core.live.job_repository import JobRepository, UnknownJob
from flawsmith.core.live.leases import Lease
from flawsmith.core.live.reaper import JobReaper
from flawsmith.core.live.task_queues import Queues, announce
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore


@dataclass
class QueueWithoutBroker(Queues):
    """Issues tokens, and keeps what it was to send."""

    redis: redis.Redis
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(Settings(), self.redis, [KIND])

    def send_segment(self, job: Job, request_id: str, token: str | None = None) -> None:
        self.issue_segment(job)
        self.sent.append(job.id)


@pytest.fixture
def jobs(empty_redis: redis.Redis, tmp_path: Path) -> JobRepository:
    return JobRepository(empty_redis, ArtifactStore(tmp_path), [KIND])


@pytest.fixture
def queues(empty_redis: redis.Redis) -> QueueWithoutBroker:
    return QueueWithoutBroker(empty_redis)


@pytest.fixture
def reaper(
    jobs: JobRepository, queues: QueueWithoutBroker, empty_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> JobReaper:
    monkeypatch.setattr(reaper_module, "LOOK_SECONDS", 0.0)  # the tests look without a pause
    return JobReaper(empty_redis, jobs, queues, KIND.queue)


def create(jobs: JobRepository) -> Job:
    progress = TrainingProgress(total_steps=10)
    config = {"batch_size": 8, "resolution": 32}
    return jobs.create(KIND.new_job(config=config, progress=progress, model="m", dataset="ds-1", preset="dcgan"))


def test_a_job_without_worker_and_message_is_requeued_at_the_second_look(
    jobs: JobRepository, queues: QueueWithoutBroker, reaper: JobReaper
) -> None:
    waiting, orphan = create(jobs), create(jobs)
    queues.issue_segment(waiting)
    reaper.look()
    assert queues.sent == []
    reaper.look()
    assert queues.sent == [orphan.id]
    reaper.look()
    reaper.look()
    assert queues.sent == [orphan.id]


def test_a_lost_worker_is_counted_once_its_lease_is_gone(
    jobs: JobRepository, queues: QueueWithoutBroker, reaper: JobReaper
) -> None:
    job = create(jobs)
    with jobs.lease(job.id) as lease:
        assert lease is not None
        jobs.begin(lease, "train-1")
        for _ in range(3):
            reaper.look()
        assert queues.sent == []
    for _ in range(2):
        reaper.look()
    assert queues.sent == [job.id]
    assert jobs.get(job.id).failures.lost_workers == 1


def test_messages_are_lost_where_workers_are_idle(
    jobs: JobRepository, queues: QueueWithoutBroker, reaper: JobReaper, empty_redis: redis.Redis
) -> None:
    oldest, *others = [create(jobs) for _ in range(3)]
    for job in (oldest, *others):
        queues.issue_segment(job)
    for _ in range(3):
        reaper.look()
    assert queues.sent == [], "no worker is idle: the messages may still be in the broker"
    announce(empty_redis, KIND.queue, "train-1", "host:1")
    reaper.look()
    assert queues.sent == []
    reaper.look()
    assert queues.sent == [oldest.id], "one idle worker proves that one message was lost"
    assert jobs.get(oldest.id).failures.lost_workers == 0


def test_a_busy_worker_proves_nothing_about_the_queue(
    jobs: JobRepository, queues: QueueWithoutBroker, reaper: JobReaper, empty_redis: redis.Redis
) -> None:
    running, waiting = create(jobs), create(jobs)
    queues.issue_segment(waiting)
    announce(empty_redis, KIND.queue, "train-1", "host:1")
    lease = Lease(empty_redis, running.id, KIND.queue)
    assert lease.acquire()
    for _ in range(3):
        reaper.look()
    lease.release()
    assert queues.sent == []


def test_a_leased_job_with_a_message_hides_no_orphan(
    jobs: JobRepository, queues: QueueWithoutBroker, reaper: JobReaper, empty_redis: redis.Redis
) -> None:
    running, ended, orphan = create(jobs), create(jobs), create(jobs)
    queues.issue_segment(running)
    leases = [Lease(empty_redis, job.id, KIND.queue) for job in (running, ended)]
    assert all(lease.acquire() for lease in leases)
    jobs.cancel(ended.id)
    for _ in range(2):
        reaper.look()
    for lease in leases:
        lease.release()
    assert queues.sent == [orphan.id]


def test_a_job_cancelled_while_it_waits_is_not_requeued(
    jobs: JobRepository, queues: QueueWithoutBroker, reaper: JobReaper
) -> None:
    job = create(jobs)
    reaper.look()
    jobs.cancel(job.id)
    reaper.look()
    assert queues.sent == []


EVIL = "../../../evil/x"


def test_a_record_that_somebody_wrote_into_redis_leads_nowhere_and_keeps_no_job_waiting(
    jobs: JobRepository, queues: QueueWithoutBroker, reaper: JobReaper, empty_redis: redis.Redis, tmp_path: Path
) -> None:
    honest, other = create(jobs), create(jobs)
    evil = [EVIL, f"job-{EVIL}", other.id]
    for job_id in evil:
        record = honest.model_copy(update={"id": EVIL}).model_dump_json()
        empty_redis.set(keys.job(job_id), record)
        empty_redis.zadd(keys.jobs_in(KIND.index, "queued"), {job_id: 0})
    before = sorted(tmp_path.rglob("*"))
    assert [job.id for job in jobs.page(KIND, None, 10, None)] == [honest.id]
    assert jobs.unfinished_with("ds-1") == [honest.id]
    for job_id in evil:
        for call in (jobs.get, jobs.cancel, jobs.resume):
            with pytest.raises(UnknownJob):
                call(job_id)
    for _ in range(3):
        reaper.look()
    assert sorted(tmp_path.rglob("*")) == before
    assert honest.id in queues.sent
    assert set(queues.sent) <= {honest.id, other.id}
    jobs.catch_up()
    assert jobs.get(other.id) == other, "the artifact store has its record"
    assert empty_redis.zrange(keys.jobs_in(KIND.index, "queued"), 0, -1) == [honest.id.encode(), other.id.encode()]


@pytest.mark.parametrize("suffix", [":events", ":history", ":segment", ":lease", ":reaped"])
def test_the_name_of_another_key_is_no_job(jobs: JobRepository, empty_redis: redis.Redis, suffix: str) -> None:
    job = create(jobs)
    empty_redis.xadd(keys.job_events(job.id), {"event": "state", "data": "{}"})
    with pytest.raises(UnknownJob):
        jobs.get(f"{job.id}{suffix}", KIND)
