"""Brings the run of one job up to date, and notes each part before and after it is sent."""

import time
from contextlib import ExitStack

from flawsmith.core.domain.job_kinds.training import TrainingJob
from flawsmith.core.domain.quality_report import QualityReport
from flawsmith.core.services import Services
from flawsmith.core.store.interface import local_file
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel
from flawsmith.core.store.version_report import page_file, report_file
from flawsmith.trackers.facts import Facts, history_point, report_values
from flawsmith.trackers.sent_runs import Batch, SentRuns
from flawsmith.trackers.tracker import Tracker


class RunUpdate:
    """One job for one tracker. `curves` and `files` raise what the tracker met; the next call goes on from there."""

    def __init__(self, tracker: Tracker, runs: SentRuns, services: Services, job: TrainingJob, begun: set[str]) -> None:
        """``begun``: the runs that this process has gone on with already."""
        self.tracker, self.runs, self.services, self.job = tracker, runs, services, job
        self.facts, self.sent = Facts(job), runs.get(job.id)
        self._begun = begun

    def curves(self) -> None:
        """The recorded steps, then state and tags: a run that has ended there is whole. Raises RunLost."""
        if self.sent.lost:
            return
        told = self.sent.told == self.facts.digest
        if not (told and self.job.state.ended):  # else its curves are whole
            recorded = self.services.history.read(self.job.id)
            while self._send_points(self._run(), recorded):  # what was under way, then the rest
                pass
        if not told:
            self.tracker.describe(self._run(), self.facts)
            self._note(told=self.facts.digest)
        if self.sent.noted_at != self.job.noted_at:
            self.tracker.note(self._run(), self.facts)
            self._note(noted_at=self.job.noted_at)

    def files(self) -> None:
        """Sample grids, and the report of the version, once there is one."""
        if self.sent.lost or self.sent.run is None:
            return
        folder = JobFolder(self.services.store, self.job.id)
        for step in folder.sample_steps():
            if step not in self.sent.grids:
                run, again = self._run(), self.sent.grid == step
                self._note(grid=step)
                with local_file(folder.sample(step)) as picture:
                    self.tracker.grid(run, step, picture, time.time(), again=again)
                self._note(grid=None, grids=[*self.sent.grids, step])
        self._send_report()

    def lose(self) -> None:
        """The tracker has the run no more."""
        self.sent = self.sent.changed(lost=True)
        self.runs.put(self.job.id, self.sent)

    def _run(self) -> str:
        """The run's name there, once something is to be sent."""
        if self.sent.run is None:
            self._begun.discard(self.job.id)
            run = self.tracker.begin(self.facts)
            self.sent = self.sent.changed(run=run)
        if self.job.id not in self._begun:
            assert self.sent.run is not None
            self.tracker.go_on(self.sent.run, self.sent.mark)
            self._begun.add(self.job.id)
            self._note()
        assert self.sent.run is not None
        return self.sent.run

    def _send_points(self, run: str, recorded: list[dict[str, float]]) -> bool:
        """Sends one batch of what is missing there; False where nothing is."""
        sent = self.sent
        fresh = [
            history_point(each, sent.names if each["step"] == sent.step else ())
            for each in recorded
            if each["step"] >= sent.step
        ]
        fresh = [each for each in fresh if each[1]]
        if not fresh:
            return False
        batch = sent.batch or Batch(upto=fresh[-1][0], at=time.time())
        part = [each for each in fresh if each[0] <= batch.upto]
        if not part:  # the job lost these steps with its worker, and has not made them again
            self._note(batch=None)
            return True
        self._note(batch=batch)
        self.tracker.points(run, part, batch.at)
        upto = max((each for each in recorded if each["step"] <= batch.upto), key=lambda each: each["step"])
        self._note(batch=None, step=int(upto["step"]), names=[name for name in upto if name != "step"])
        return True

    def _send_report(self) -> None:
        if self.job.produced is None:
            return
        try:
            version = self.services.registry.resolve(self.job.produced)
            folder = self.services.registry.folder(version)
            path = report_file(folder)
            status = path.stat()
        except (UnknownModel, FileNotFoundError):  # deleted, or not made yet
            return
        stamp = f"{status.st_mtime_ns}-{status.st_size}"
        if self.sent.report == stamp:
            return
        values = report_values(QualityReport.model_validate_json(path.read_bytes()))
        with ExitStack() as held:
            files = [held.enter_context(local_file(each)) for each in (path, page_file(folder)) if each.exists()]
            self.tracker.report(self._run(), files, (version.step or self.job.progress.step, values), status.st_mtime)
        self._note(report=stamp)

    def _note(self, **fields: object) -> None:
        assert self.sent.run is not None
        self.sent = self.sent.changed(**fields, mark=self.tracker.mark(self.sent.run))
        self.runs.put(self.job.id, self.sent)
