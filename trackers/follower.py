"""Follows the training jobs for one tracker, in a thread of its own.

Jobs know nothing of it. It reads what workers write for the API, so that a tracker that is away, slow or wrong costs a
job nothing. What could not be sent is sent later, also by another process.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from redis.exceptions import RedisError

from flawsmith.core.domain.job_kinds.training import KIND, TrainingJob
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.logs import OutageLog
from flawsmith.core.services import Services
from flawsmith.trackers.run_update import RunUpdate
from flawsmith.trackers.sent_runs import SentRuns
from flawsmith.trackers.tracker import RunLost, Tracker
from flawsmith.trackers.turn import Turn

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # between two looks
LATE_SECONDS = 2 * 24 * 3600.0  # after its end, in which a job's report and what people write on it are sent
LATE_SHARE = 0.01  # of the time goes into looks at jobs that ended earlier
SECONDS_FOR_ONE = 0.001  # that a look at one of them takes
FIRST_REST, LONGEST_REST = 5.0, 120.0  # seconds after a failure until a job is tried again
ENDED = [each for each in JobState if each.ended]


@dataclass
class Rests:
    """Jobs that are not tried until a time, after failures: twice as long after each."""

    until: dict[str, tuple[float, float]] = field(default_factory=dict)

    def rests(self, job_id: str) -> bool:
        return time.monotonic() < self.until.get(job_id, (0.0, 0.0))[0]

    def failed(self, job_id: str) -> None:
        seconds = min(2 * self.until[job_id][1], LONGEST_REST) if job_id in self.until else FIRST_REST
        self.until[job_id] = (time.monotonic() + seconds, seconds)


class Follower:
    """One tracker, and which jobs it has. Of several processes, one at a time sends; the others stand by.

    Args:
        tracker: to send to.
        runs: what it has.
        services: of the site.
    """

    def __init__(self, tracker: Tracker, runs: SentRuns, services: Services) -> None:
        self.tracker, self.runs, self.services = tracker, runs, services
        self._turn = Turn(runs.folder.name, runs.lock_folder, socket.gethostname(), services.redis)
        self._known: set[str] = set()  # jobs of which something was sent
        self._since = ""
        self._settled: dict[str, float] = {}  # jobs that have ended and are sent -> when they ended
        self._late_look_at = 0.0
        self._begun: set[str] = set()
        self._rests = {"curves": Rests(), "files": Rests()}
        self._outages = {part: OutageLog(log, f"send {part} to {tracker.name}") for part in self._rests}

    def run(self, stop: threading.Event) -> None:
        """Until ``stop`` is set."""
        outage = OutageLog(log, f"look for jobs to send to {self.tracker.name}")
        while not stop.is_set():
            try:
                if self._turn.come():
                    self.look()
                else:
                    log.debug("another process sends to %s", self.tracker.name)
                outage.over()
            except (RedisError, OSError) as error:
                outage.met(error)
            except Exception:
                log.exception("cannot follow jobs for %s", self.tracker.name)
            stop.wait(LOOK_SECONDS)
        with suppress(RedisError):
            self._turn.leave()

    def look(self) -> None:
        """Brings every job that needs it up to date: first all curves, then all files. Raises RedisError, OSError."""
        jobs = self._to_look_at()
        curves = self._bring("curves", RunUpdate.curves, jobs)
        whole = curves & self._bring("files", RunUpdate.files, jobs)
        for job in jobs:
            if job.state.ended and job.id in whole:
                self._settled[job.id] = job.finished_at.timestamp() if job.finished_at else 0.0

    def _bring(self, part: str, bring: Callable[[RunUpdate], None], jobs: list[TrainingJob]) -> set[str]:
        """The ids of the jobs that are up to date then.

        A failure ends the look, so that an outage costs one timeout and not one for each job.
        """
        rests, done = self._rests[part], set[str]()
        for job in jobs:
            if rests.rests(job.id):
                continue
            if not self._turn.is_kept():
                break
            update = RunUpdate(self.tracker, self.runs, self.services, job, self._begun)
            try:
                bring(update)
            except RunLost as error:
                log.warning("job %s is not sent to %s any more: %s", job.id, self.tracker.name, error)
                update.lose()
            except RedisError:
                raise
            except Exception as error:  # of whatever kind: it is the tracker's
                self._outages[part].met(error)
                rests.failed(job.id)
                self._begun.discard(job.id)
                break
            rests.until.pop(job.id, None)
            self._known.add(job.id)
            done.add(job.id)
            self._outages[part].over()
        return done

    def _to_look_at(self) -> list[TrainingJob]:
        """Jobs that run, those that ended since the last look, and now and then those that ended earlier."""
        jobs = self.services.jobs
        if not self._since:
            self._since, self._known = self.runs.since(), self.runs.ids()
            for job_id in self._known.difference(jobs.ids(KIND, JobState)):  # deleted while nobody followed
                self.runs.forget(job_id)
        running = jobs.ids(KIND, [JobState.RUNNING])
        ended = [each for each in jobs.ids(KIND, ENDED) if each > self._since or each in self._known]
        for job_id in running:
            self._settled.pop(job_id, None)
        wanted = [*running, *(each for each in ended if each not in self._settled), *self._late()]
        found: list[TrainingJob] = []
        for job_id in wanted:
            try:
                job = cast(TrainingJob, jobs.get(job_id, KIND))
            except UnknownJob:
                self.runs.forget(job_id)
                self._settled.pop(job_id, None)
                continue
            if job.started_at is not None:  # else it was cancelled before it began
                found.append(job)
            elif job.state.ended:
                self._settled[job_id] = 0.0
        return found

    def _late(self) -> list[str]:
        """The jobs that ended not long ago, seldom enough that it costs little however many they are."""
        begun = time.monotonic()
        if begun < self._late_look_at:
            return []
        young = [each for each, at in self._settled.items() if at > time.time() - LATE_SECONDS]
        self._late_look_at = begun + len(young) * SECONDS_FOR_ONE / LATE_SHARE
        return young
