"""Jobs as workers leave them, and processes that follow them."""

from pathlib import Path
from typing import Any

from tests.conftest import photograph

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.services import Services
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.version_report import report_file
from flawsmith.trackers.follower import Follower
from flawsmith.trackers.sent_runs import SentRuns
from flawsmith.trackers.tracker import Tracker

REPORT = {
    "version": "steel@1",
    "created_at": "2026-11-26T08:00:00Z",
    "verdict": {"state": "good", "sentence": "Fine."},
    "leading": "combined",
    "measures": [
        *(
            {"name": "distance", "type": kind, "value": value, "photographs": 0.0, "controls": {}, "interval": None}
            | {"better": "lower", "n": 10}
            for kind, value in (("Öl", 0.5), (None, 0.25))
        )
    ],
    "copies": {"memorization_rate": None, "authenticity": 0.75, "worst": []},
    "coverage": {},
    "two_sample": None,
}
REPORT_VALUES = {"report/distance Ol": 0.5, "report/distance": 0.25, "report/authenticity": 0.75}


def follow(services: Services, tracker: Tracker) -> Follower:
    """A new process that follows."""
    return Follower(tracker, SentRuns(services.store, tracker.name), services)


def submit(services: Services, **fields: Any) -> str:
    config = {"resolution": 32, "classes": ["Öl"], "overrides": None}
    given = {"model": "steel", "dataset": "ds-1", "preset": "dcgan", **fields}
    return services.jobs.create(KIND.new_job(config=config, progress=TrainingProgress(total_steps=9), **given)).id


def run(services: Services, job: str, steps: range, end: JobState | None = None, **fields: Any) -> None:
    """A worker runs a job: it records steps, writes a sample grid at the last one, and ends it if it shall end."""
    with services.jobs.lease(job) as lease:
        assert lease is not None
        services.jobs.begin(lease, "train-1")
        services.history.record(job, [{"step": each, "loss": each / 10} for each in steps])
        services.store.write_bytes(JobFolder(services.store, job).sample(steps[-1]), photograph(steps[-1]))
        if end:
            services.jobs.finish(lease, end, "it ended", **fields)


def publish(services: Services, job: str) -> Path:
    """The job's version; the value is where its report belongs."""
    with services.store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(b"weights")
        fields = {"classes": ["Öl"], "resolution": 32, "mode": "L", "preset": "dcgan", "config": {}, "step": 6}
        version = services.registry.publish(
            "steel", staged, **fields, training_job=job, dataset_digest="d", weights_sha256="w"
        )
    return report_file(services.registry.folder(version))
