"""Drift checks: a job that draws images which a version served again, and measures them as its report does."""

from flawsmith.core.domain.drift import DriftCheck
from flawsmith.core.domain.jobs import Job, JobKind, Progress


class DriftJob(Job):
    """A drift check, as GET /drift-checks/{id} shows it.

    ``newest`` has the first seed that was not served yet when the job was made, for each defect type.
    """

    kind: str = "drift"
    version: str
    dataset: str
    newest: dict[str, int]
    result: DriftCheck | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        return (self.dataset,)


KIND = JobKind(
    name="drift",
    path="/drift-checks",
    id_prefix="drift",
    record=DriftJob,
    executor="flawsmith.worker.drift:DriftExecutor",
    router="flawsmith.app.routes.drift_checks:router",
)


def new_drift_job(version: str, dataset: str, newest: dict[str, int]) -> Job:
    """A queued job that looks at what a version such as ``scratches@2`` served of each defect type."""
    return KIND.new_job(config={}, progress=Progress(total_steps=1), version=version, dataset=dataset, newest=newest)
