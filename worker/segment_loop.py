"""The loop of one segment: steps, and between them reports and checkpoints as often as they are due."""

import logging
import threading
import time

from prometheus_client import Histogram
from redis.exceptions import RedisError

from flawsmith.core.live.job_history import JobHistory
from flawsmith.worker.devices.sampling_first import TrainingTurns
from flawsmith.worker.executor import Segment, Work

log = logging.getLogger(__name__)

REPORT_SECONDS = 1.0  # between two reports; also how soon a worker notices that its job was cancelled
SLOW_REPORT_SECONDS = 3.0  # the same while Redis is away, when each report waits for a timeout
CHECKPOINT_SHARE = 0.01  # of the time goes into checkpoints, within these bounds:
MIN_CHECKPOINT_PAUSE = 2.0  # seconds
MAX_CHECKPOINT_PAUSE = 60.0  # seconds of work that a crash may cost

CHECKPOINT_SECONDS = Histogram(
    "flawsmith_checkpoint_seconds",
    "Time to write one checkpoint, in seconds",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def advance_until(
    end: float, stopping: threading.Event, turns: TrainingTurns, work: Work, segment: Segment, history: JobHistory
) -> bool:
    """Makes steps until the job is over, the segment ends or the worker stops, and saves the last one.

    Args:
        end: of the segment, by `time.monotonic`.
        turns: when a step may begin.

    Returns:
        False where the job was cancelled meanwhile.
    """
    reports, checkpoints = Reports(work, segment, history), Checkpoints(work, segment)
    wanted = True
    while wanted and not work.over and not stopping.is_set() and time.monotonic() < end:
        turns.wait(stopping)
        work.advance(segment)
        if reports.due:
            wanted = reports.send()
        if checkpoints.due and not work.over:  # the last one is saved below, after `conclude`
            checkpoints.save()
    if wanted and work.over:
        work.conclude(segment)
    wanted = wanted and reports.send()
    if work.over or work.step != work.saved_step:
        checkpoints.save()
    return wanted and reports.send()


def ready_to_finish(
    stopping: threading.Event, turns: TrainingTurns, work: Work, segment: Segment, history: JobHistory
) -> bool:
    """Does what is left before a job that is over can finish.

    Returns:
        False where the worker stops before the end, or the job was cancelled meanwhile.
    """
    reports = Reports(work, segment, history)
    for _ in work.before_finish():
        wanted = not reports.due or reports.send()
        if not wanted or stopping.is_set():
            return False
        turns.wait(stopping)
    return True


class Reports:
    """Shows how far the job is. Work continues while Redis is away: what must last is in the artifact store."""

    def __init__(self, work: Work, segment: Segment, history: JobHistory) -> None:
        self.work, self.segment, self.history = work, segment, history
        self._sent = time.monotonic()
        self._redis_away = False

    @property
    def due(self) -> bool:
        pause = SLOW_REPORT_SECONDS if self._redis_away else REPORT_SECONDS
        return time.monotonic() - self._sent >= pause

    def send(self) -> bool:
        """False where the job has ended meanwhile. Raises LeaseLost."""
        work, wanted = self.work, True
        update = work.report()
        work.job = work.job.changed(**update)
        try:
            wanted = self.segment.jobs.report(self.segment.lease, update)
            self.history.record(work.job.id, work.unrecorded)
            work.unrecorded.clear()
            self._redis_away = False
        except RedisError as error:
            self._redis_away = True
            log.warning("job %s: cannot report step %d: %s", work.job.id, work.step, error)
        self._sent = time.monotonic()
        return wanted


class Checkpoints:
    """Decides when the job is saved: the more a checkpoint costs, the less often.

    After lost workers the first checkpoint comes sooner, so that even a job whose workers live for seconds progresses.
    """

    def __init__(self, work: Work, segment: Segment) -> None:
        self.work, self.segment = work, segment
        self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        wanted = self.work.checkpoint_seconds / CHECKPOINT_SHARE
        pause = min(max(wanted, MIN_CHECKPOINT_PAUSE), MAX_CHECKPOINT_PAUSE)
        failures = self.work.job.failures
        lost_workers = failures.lost_workers if self.work.saved_step <= failures.step else 0
        return time.monotonic() - self._saved >= pause * 0.5**lost_workers

    def save(self) -> None:
        """Raises ClaimLost where another worker has the job."""
        work, begun = self.work, time.monotonic()
        work.save(self.segment)
        work.saved_step, self._saved = work.step, time.monotonic()
        work.checkpoint_seconds = self._saved - begun
        CHECKPOINT_SECONDS.observe(work.checkpoint_seconds)
        log.info("job %s: checkpoint at step %d of %d", work.job.id, work.step, work.job.progress.total_steps)
