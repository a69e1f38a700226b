"""How a worker counts."""

import json
import time

from flawsmith.core.domain.jobs import Job
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.worker.celery import services
from flawsmith.worker.executor import Executor, Result, Segment, Work


class CountingExecutor(Executor):
    lasting = (OverflowError,)

    def open(self, job: Job) -> Work:
        folder = JobFolder(services().store, job.id)
        cards = folder.checkpoint_cards()
        saved = json.loads(cards[0].read_bytes()) if cards else {"step": 0, "total": 0}
        return Counting(job, folder, **saved)


class Counting(Work):
    def __init__(self, job: Job, folder: JobFolder, step: int, total: int) -> None:
        super().__init__(job, saved_step=step)
        self.folder, self.count, self.total = folder, step, total

    @property
    def step(self) -> int:
        return self.count

    @property
    def over(self) -> bool:
        return self.count == self.job.progress.total_steps

    def advance(self, segment: Segment) -> None:
        time.sleep(0.01)
        if self.count == self.job.config["largest"]:
            raise OverflowError(f"{self.count} is the largest number; count fewer numbers")
        self.total += self.count
        self.count += 1
        if self.count % 100 == 0:
            segment.emit("hundred", {"step": self.count})

    def save(self, segment: Segment) -> None:
        card = self.folder.checkpoint(self.count) / "checkpoint.json"
        segment.claim.write_bytes(card, json.dumps({"step": self.count, "total": self.total}).encode())

    def finish(self, segment: Segment) -> Result:
        return Result(f"counted {self.count} numbers", {"total": self.total})
