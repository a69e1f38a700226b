"""Comparisons in a worker: two versions of a model, judged on the same photographs."""

from collections.abc import Iterator
from typing import cast

from flawsmith.core.domain.job_kinds.comparison import ComparisonJob
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.presets.registry import UnknownPreset
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.domain.version_comparison import (
    VersionComparison,
    compared_measures,
    compared_tests,
    sentence_of,
)
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.registry import UnknownModel
from flawsmith.core.store.version_comparisons import save_comparison
from flawsmith.models.quality.judging import calibrating
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.worker.celery import device, services
from flawsmith.worker.comparison_photographs import (
    ComparisonPhotographs,
    NothingInCommon,
    comparison_sampler,
    load_comparison_photographs,
)
from flawsmith.worker.executor import Executor, Result, Segment, UncheckpointedWork, Work
from flawsmith.worker.reports.analysis import Judged
from flawsmith.worker.sampling_error import judged_with_error
from flawsmith.worker.version_sampler import load_sampler

COPIES = "memorization_rate"


class ComparisonExecutor(Executor):
    """Opens comparisons."""

    lasting = (NothingInCommon, UnknownDataset, UnknownModel, UnknownPreset)

    def open(self, job: Job) -> Work:
        comparison_job = cast(ComparisonJob, job)
        first, second = (services().registry.resolve(each) for each in comparison_job.versions)
        return ComparisonWork(comparison_job, (first, second))


class ComparisonWork(UncheckpointedWork):
    """A comparison under way.

    All of it comes before the finish and is not bounded by the segment's end: what it learns of the photographs takes
    tens of seconds and lies in memory only. A worker that stopped leaves the whole to the next one.
    """

    job: ComparisonJob

    def __init__(self, job: ComparisonJob, versions: tuple[ModelVersion, ModelVersion]) -> None:
        super().__init__(job)
        self.versions = versions
        self.comparison: VersionComparison | None = None
        self._step = 0

    @property
    def step(self) -> int:
        return self._step

    def before_finish(self) -> Iterator[None]:
        """Raises UnknownDataset, NothingInCommon."""
        self._step = 0
        photographs = load_comparison_photographs(self.versions, self.job.dataset, services())
        yield from self._next_step()
        calibration = yield from calibrating(photographs.judged, SPACES)
        yield from self._next_step()
        judged = []
        for version in self.versions:
            generator = load_sampler(version, services().registry, device())
            sample = comparison_sampler(generator, photographs)
            judged.append((yield from judged_with_error(calibration, sample, composed=not version.has_networks)))
            yield from self._next_step()
        self.comparison = comparison_of(self.versions, self.job.dataset, photographs, judged)

    def _next_step(self) -> Iterator[None]:
        self._step += 1
        yield

    def finish(self, segment: Segment) -> Result:
        """Keeps the comparison with the first version, and in the job's record. Raises UnknownModel."""
        first, second = self.versions
        comparison = self.comparison
        assert comparison
        folder = services().registry.folder(first)
        try:
            save_comparison(folder, second.version, comparison, segment.claim.write_bytes)
        except FileNotFoundError as error:
            if not segment.claim.held:
                raise ClaimLost(str(error)) from error
            raise UnknownModel(f"{first.ref} was deleted while it was compared with {second.ref}") from error
        return Result(comparison.sentence, {"result": comparison, **self.report()})


def comparison_of(
    versions: tuple[ModelVersion, ModelVersion], dataset: str, photographs: ComparisonPhotographs, judged: list[Judged]
) -> VersionComparison:
    """What the two judgements say side by side.

    Copies count only where both versions were trained on the same photographs: else one of them could not copy.
    """
    first, second = judged
    refs = versions[0].ref, versions[1].ref
    measures = compared_measures(first.measures, second.measures) + compared_tests(first.two_sample, second.two_sample)
    if not photographs.same_training:
        measures = [each for each in measures if each.name != COPIES]
    leading = max(
        (each.leading for each in judged), key=lambda name: sum(each.counts for each in measures if each.name == name)
    )
    return VersionComparison(
        versions=refs,
        dataset=dataset,
        created_at=now(),
        resolution=photographs.side,
        classes=photographs.judged.classes,
        leading=leading,
        measures=measures,
        verdicts=(first.verdict, second.verdict),
        sentence=sentence_of(refs, leading, measures),
        trained_on_by=photographs.trained_on_by,
        notes=photographs.notes,
        n=max(each.n for each in measures if each.name == leading),
    )
