"""What a counting job is."""

from flawsmith.core.domain.jobs import Job, JobKind


class CountingJob(Job):
    """Sums the numbers under ``config["numbers"]``."""

    kind: str = "counting"
    total: int | None = None


KIND = JobKind(
    name="counting",
    path="/countings",
    id_prefix="count",
    record=CountingJob,
    executor="tests.counting.executor:CountingExecutor",
    router="tests.counting.routes:router",
)
