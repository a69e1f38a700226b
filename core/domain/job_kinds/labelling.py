"""Labelling: a job that gives an existing version a label network, as a new version with the same pixels."""

from typing import Any

from flawsmith.core.domain.jobs import Job, JobKind, Progress
from flawsmith.core.domain.label_request import STEPS


class LabellingJob(Job):
    """A labelling, as GET /labellings/{id} shows it. ``version`` is what it labels, ``produced`` the labelled version.

    ``dataset`` is the id of the annotated photographs that it learns from, if it does.
    """

    kind: str = "labelling"
    version: str
    dataset: str | None = None
    produced: str | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        return (self.dataset,) if self.dataset else ()

    @property
    def memory_advice(self) -> str:
        return "use a machine with more memory; a labelling holds the annotated photographs and some samples"


KIND = JobKind(
    name="labelling",
    path="/labellings",
    id_prefix="labelling",
    record=LabellingJob,
    executor="flawsmith.worker.labelling:LabellingExecutor",
    router="flawsmith.app.routes.labellings:router",
)


def new_labelling_job(version: str, config: dict[str, Any], dataset: str | None) -> Job:
    """A queued job that labels a version such as ``scratches@2``; see `resolve_labels`."""
    return KIND.new_job(config=config, progress=Progress(total_steps=STEPS), version=version, dataset=dataset)
