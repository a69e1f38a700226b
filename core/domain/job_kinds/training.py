"""Training: a job that trains a GAN on a dataset and publishes a model version."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from flawsmith.core.domain.jobs import Job, JobKind, Progress
from flawsmith.core.domain.records import Health, Name, Record, Verdict


class StopReason(StrEnum):
    """Why a training job that succeeded stopped."""

    COMPLETED = "completed"  # it made all its steps
    MAX_SECONDS = "max_seconds"  # it trained for its `max_seconds`
    PATIENCE = "patience"  # its last `patience` evaluations were no better than the best one


class TrainingProgress(Progress):
    """How far a training job is. ``epoch`` is a fraction: 1.5 is half of the second pass over the dataset.

    ``images_per_second`` is the speed since the last report, ``trained_seconds`` what the run has taken so far, as
    ``max_seconds`` counts it; null in earlier releases.
    """

    epoch: float = 0.0
    images_per_second: float | None = None
    trained_seconds: float | None = None


class DeviceUse(Record):
    """How many devices the steps of a job with several are made on; ``reason`` says why they are fewer than asked."""

    asked: int
    used: int
    reason: str | None = None


class TrainingJob(Job):
    """A training job, as GET /training-jobs/{id} shows it.

    ``devices`` is how many may share its steps, and ``device_use`` how many did when the record was last reported; null
    for a job on one device. They are no part of ``config``, as they do not change what is trained.

    ``verdict`` is that of the version that it ``produced``. ``served_by_name`` says whether the bare model name means
    this version when the record is read; what is stored is null. ``notes`` say what was chosen for it, and why.
    """

    progress_event: ClassVar[set[str]] = {"progress", "losses"}

    kind: str = "training"  # records up to commit b2444ae do not say it
    model: Name
    dataset: Name
    preset: str
    progress: TrainingProgress
    devices: int = 1
    device_use: DeviceUse | None = None
    notes: list[str] = Field(default_factory=list)
    losses: dict[str, float] = Field(default_factory=dict)
    health: Health = Field(default_factory=Health)
    checkpoint_step: int | None = None
    produced: str | None = None
    verdict: Verdict | None = None
    served_by_name: bool | None = None
    stop_reason: StopReason | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        return (self.dataset,)

    @property
    def memory_demand(self) -> str:
        return f"batch_size {self.config.get('batch_size', 1)} at {self.config['resolution']} px"

    @property
    def memory_advice(self) -> str:
        batch_size = self.config.get("batch_size", 1)
        if batch_size > 1:
            return f"try batch_size {batch_size // 2}"
        return f"try a resolution under {self.config['resolution']}, or smaller depths"


KIND = JobKind(
    name="training",
    path="/training-jobs",
    id_prefix="job",
    record=TrainingJob,
    executor="flawsmith.worker.training:TrainingExecutor",
    router="flawsmith.app.routes.training_jobs:router",
    redis_index="jobs",  # the keys of commit b2444ae, from before there were kinds
)
