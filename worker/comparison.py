"""Comparisons in a worker: two versions of a model, judged on the same photographs."""

import json
from collections.abc import Generator
from typing import Any, cast

from flawsmith.core.domain.job_kinds.comparison import STAGES, ComparisonJob
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
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel
from flawsmith.core.store.version_comparisons import save_comparison
from flawsmith.models.quality.judgement import judging_by
from flawsmith.models.quality.judging import Calibration, calibrating
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.worker.celery import device, services
from flawsmith.worker.comparison_photographs import (
    ComparisonPhotographs,
    comparison_sampler,
    load_comparison_photographs,
)
from flawsmith.worker.executor import Executor, Result, Segment, Work
from flawsmith.worker.generator_file import load_generator
from flawsmith.worker.reports.findings import Judged
from flawsmith.worker.reports.stages import judged_of
from flawsmith.worker.verdict import to_verdict

COPIES = "memorization_rate"

Stage = Generator[None, None, None]


class ComparisonExecutor(Executor):
    """Opens comparisons."""

    lasting = (UnknownDataset, UnknownModel, UnknownPreset)

    def open(self, job: Job) -> Work:
        comparison_job = cast(ComparisonJob, job)
        first, second = (services().registry.resolve(each) for each in comparison_job.versions)
        cards = JobFolder(services().store, job.id).checkpoint_cards()
        saved: dict[str, Any] = json.loads(cards[0].read_bytes()) if cards else {"step": 0, "judged": []}
        judged = [Judged.model_validate(each) for each in saved["judged"]]
        return ComparisonWork(comparison_job, (first, second), saved["step"], judged)


class ComparisonWork(Work):
    """A comparison under way. Its checkpoint holds what the judge said; photographs and calibration are made again."""

    job: ComparisonJob

    def __init__(
        self, job: ComparisonJob, versions: tuple[ModelVersion, ModelVersion], step: int, judged: list[Judged]
    ) -> None:
        super().__init__(job, saved_step=step)
        self.versions, self.judged = versions, judged
        self._step = step
        self._stage: Stage | None = None
        self._photographs: ComparisonPhotographs | None = None
        self._calibration: Calibration | None = None

    @property
    def step(self) -> int:
        return self._step

    @property
    def over(self) -> bool:
        return self._step == len(STAGES)

    @property
    def photographs(self) -> ComparisonPhotographs:
        """Raises UnknownDataset."""
        if self._photographs is None:
            self._photographs = load_comparison_photographs(self.versions, self.job.dataset, services())
        return self._photographs

    def advance(self, segment: Segment) -> None:
        """Makes the next part of a stage. A stage that was interrupted begins again: only whole ones are saved."""
        if self._stage is None:
            self._stage = self._begin_stage()
        try:
            next(self._stage)
        except StopIteration:
            self._stage = None
            self._step += 1

    def _begin_stage(self) -> Stage:
        if self._step == 0:
            return self._load()
        return self._calibrate() if self._step == 1 else self._judge(self.versions[len(self.judged)])

    def _load(self) -> Stage:
        _ = self.photographs
        yield

    def _calibrate(self) -> Stage:
        if self._calibration is None:
            self._calibration = yield from calibrating(self.photographs.judged, SPACES)

    def _judge(self, version: ModelVersion) -> Stage:
        yield from self._calibrate()
        assert self._calibration
        weights = services().registry.weights(version.model, version.version)
        generator = load_generator(weights, version.model_dump(), device())
        judgement = yield from judging_by(self._calibration, comparison_sampler(generator, self.photographs))
        self.judged.append(judged_of(judgement, to_verdict(judgement)))

    def save(self, segment: Segment) -> None:
        path = JobFolder(services().store, self.job.id).checkpoint(self.step) / "checkpoint.json"
        saved = {"step": self.step, "judged": [each.model_dump(mode="json") for each in self.judged]}
        segment.claim.write_bytes(path, json.dumps(saved).encode())

    def finish(self, segment: Segment) -> Result:
        """Keeps the comparison with the first version, and in the job's record. Raises UnknownModel."""
        first, second = self.versions
        comparison = comparison_of(self.versions, self.job.dataset, self.photographs, self.judged)
        folder = services().registry.folder(first)
        try:
            save_comparison(folder, second.version, comparison, segment.claim.write_bytes)
        except FileNotFoundError as error:
            if not segment.claim.held:
                raise ClaimLost(str(error)) from error
            raise UnknownModel(f"{first.ref} was deleted while it was compared with {second.ref}") from error
        return Result(comparison.sentence, {"result": comparison})


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
