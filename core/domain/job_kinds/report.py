"""Reports: a job that examines a published version and writes its quality report."""

from typing import ClassVar

from flawsmith.core.domain.jobs import Job, JobKind, Progress

STAGES = ("photographs", "samples", "verdict", "neighbourhoods", "copies", "coverage", "curves", "pictures")
"""What such a job does, in this order. Each is a step of its progress."""


class ReportJob(Job):
    """A report job, as GET /reports/{id} shows it. ``version`` is what it examines, such as ``scratches@2``."""

    paths: ClassVar[frozenset[str]] = frozenset({"report"})

    kind: str = "report"
    version: str
    dataset: str
    report: str | None = None  # the path of what it made

    @property
    def datasets(self) -> tuple[str, ...]:
        return (self.dataset,)

    @property
    def memory_advice(self) -> str:
        return "use a machine with more memory; a report holds a version's photographs and as many samples"


KIND = JobKind(
    name="report",
    path="/reports",
    id_prefix="report",
    record=ReportJob,
    executor="flawsmith.worker.report:ReportExecutor",
    router="flawsmith.app.routes.reports:router",
)


def new_report_job(version: str, dataset: str, priority: int = 0) -> Job:
    """A queued job that makes the report of a version such as ``scratches@2``.

    Args:
        dataset: id of the photographs that the version was trained on.
        priority: 0 to 9.
    """
    return KIND.new_job(
        config={"priority": priority}, progress=Progress(total_steps=len(STAGES)), version=version, dataset=dataset
    )
