"""Comparisons: a job that judges two versions of a model on the same photographs."""

from flawsmith.core.domain.jobs import Job, JobKind, Progress
from flawsmith.core.domain.version_comparison import VersionComparison

STAGES = ("photographs", "calibration", "first version", "second version")
"""What such a job does, in this order. Each is a step of its progress."""


class ComparisonJob(Job):
    """A comparison, as GET /comparisons/{id} shows it. ``versions`` are such as ``scratches@3``."""

    kind: str = "comparison"
    versions: tuple[str, str]
    dataset: str
    result: VersionComparison | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        return (self.dataset,)

    @property
    def memory_advice(self) -> str:
        return "use a machine with more memory; a comparison holds the photographs of its data set"


KIND = JobKind(
    name="comparison",
    path="/comparisons",
    id_prefix="comparison",
    record=ComparisonJob,
    executor="flawsmith.worker.comparison:ComparisonExecutor",
    router="flawsmith.app.routes.comparisons:router",
)


def new_comparison_job(versions: tuple[str, str], dataset: str) -> Job:
    """A queued job that compares two versions on the photographs of a data set, given by its id."""
    return KIND.new_job(config={}, progress=Progress(total_steps=len(STAGES)), versions=versions, dataset=dataset)
