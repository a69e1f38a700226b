"""Evaluation: a job that tells whether a model version's images help a classifier."""

from flawsmith.core.domain.evaluation_result import EvaluationResult
from flawsmith.core.domain.jobs import Job, JobKind
from flawsmith.core.domain.records import Name


class EvaluationJob(Job):
    """An evaluation, as GET /evaluations/{id} shows it. ``version`` is the version, such as scratches@2."""

    kind: str = "evaluation"
    version: str
    dataset: Name
    result: EvaluationResult | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        return (self.dataset,)

    @property
    def memory_demand(self) -> str:
        return f"per_type {max(self.config['per_type'])} and ratios up to {max(self.config['ratios']):g}"

    @property
    def memory_advice(self) -> str:
        return "try a lower per_type or lower ratios"


KIND = JobKind(
    name="evaluation",
    path="/evaluations",
    id_prefix="evaluation",
    record=EvaluationJob,
    executor="flawsmith.worker.evaluation:EvaluationExecutor",
    router="flawsmith.app.routes.evaluations:router",
)
