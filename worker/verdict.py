"""The verdict on the generator that a run is about to publish, by the photographs that it was trained on."""

import logging
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.quality_report import MeasureResult, TwoSample
from flawsmith.core.domain.records import Health, HealthState, Verdict, VerdictState
from flawsmith.core.services import Services
from flawsmith.core.store.interface import Place
from flawsmith.core.store.quality_floors import ImageScores
from flawsmith.models.quality.judgement import Judged as Measured
from flawsmith.models.quality.judgement import JudgedPhotographs, Judgement, Sampler, judging_by
from flawsmith.models.quality.judging import calibrating
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.models.quality.start_likeness import beside_start
from flawsmith.models.quality.steps import Steps
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.image_scores import scoring
from flawsmith.worker.reports.analysis import Judged
from flawsmith.worker.version_photographs import VersionPhotographs, load_photographs

log = logging.getLogger(__name__)

JUDGEMENT = "judgement.json"  # in a version's folder: what its verdict is made of
NOT_JUDGED = "The samples could not be judged: a measure met an error, which is in the worker's log."


class VersionJudgement(NamedTuple):
    """What is kept with a version: its judgement, and what its images are scored with.

    ``scores`` is None where the photographs do not allow it.
    """

    judged: Judged
    scores: ImageScores | None


def verdict_in_steps(
    generator: ImageSampler,
    *,
    start: ImageSampler | None = None,
    preset: str,
    config: dict[str, Any],
    dataset_digest: str,
    services: Services,
) -> Steps[VersionJudgement]:
    """Judges the generator, in steps of about a second between which the worker can stop.

    ``start`` is the generator that its training started from, if its samples are to be compared with that one's.

    An error in a measure must not cost a model that took hours: the verdict is then a warning that says so.

    Raises:
        UnknownDataset: the photographs were deleted.
    """
    photographs = load_photographs(dataset_digest, preset, config, services)
    yield
    try:
        judgement, scores = yield from judging_with_scores(
            judged_photographs(photographs),
            sampler(generator),
            sampler(start) if start else None,
            composed=generator.composed,
        )
    except Exception:
        log.exception("the generator could not be judged")
        verdict = Verdict(state=VerdictState.WARNING, sentence=NOT_JUDGED, reasons=[NOT_JUDGED])
        return VersionJudgement(Judged(verdict=verdict, leading="", measures=[], two_sample=None), None)
    return VersionJudgement(judged_of(judgement, to_verdict(judgement)), scores)


def judging_with_scores(
    photographs: JudgedPhotographs, sample: Sampler, start: Sampler | None, *, composed: bool = False
) -> Steps[tuple[Judgement, ImageScores | None]]:
    """The judgement in steps, also of what training started from if that is given, and what images are scored with.

    ``composed``: see `judging_by`.
    """
    calibration = yield from calibrating(photographs, SPACES)
    judgement = yield from judging_by(calibration, sample, composed=composed)
    if start:
        judgement = yield from beside_start(judgement, photographs, sample, start)
    scores = yield from scoring(calibration, sample)
    return judgement, scores


def save_judgement(judged: Judged, folder: Path) -> None:
    """Writes what a version's verdict is made of into its folder, before it is published."""
    (folder / JUDGEMENT).write_text(judged.model_dump_json(indent=1))


def load_judgement(folder: Place) -> Judged | None:
    """What a version's verdict was made of; None for versions of releases that did not keep it."""
    try:
        content = (folder / JUDGEMENT).read_bytes()
    except FileNotFoundError:
        return None
    return Judged.model_validate_json(content)


def judged_of(judgement: Judgement, verdict: Verdict) -> Judged:
    """The record of a judgement, with the verdict that counts."""
    accuracy = judgement.two_sample
    return Judged(
        verdict=verdict,
        leading=judgement.leading,
        measures=[MeasureResult(**vars(each)) for each in judgement.measures if _is_measured(each)],
        two_sample=TwoSample(accuracy=accuracy[0], interval=accuracy[1], n=accuracy[2]) if accuracy else None,
    )


def judged_photographs(photographs: VersionPhotographs) -> JudgedPhotographs:
    """The photographs by type, for a judgement."""
    types = range(len(photographs.classes))
    training = [photographs.training(each) for each in types]
    holdout = [photographs.holdout(each) for each in types]

    def masks(positions: Tensor) -> list[Tensor | None]:
        return [photographs.masks[each] for each in positions.tolist()]

    return JudgedPhotographs(
        classes=photographs.classes,
        training=[photographs.images[of] for of in training],
        holdout=[photographs.images[of] for of in holdout],
        training_masks=[masks(of) for of in training],
        holdout_masks=[masks(of) for of in holdout],
    )


def sampler(generator: ImageSampler) -> Sampler:
    """Samples by their addresses, as the service serves them."""

    def sample(each_type: int, seed: int, count: int) -> Tensor:
        name = generator.classes[each_type]
        pixels = generator.sample_batch([Address(name, each) for each in range(seed, seed + count)])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()

    return sample


def to_verdict(judgement: Judgement) -> Verdict:
    """The record of a judgement."""
    return Verdict(state=VerdictState(judgement.state), sentence=judgement.sentence, reasons=judgement.reasons)


def health_with(health: Health, verdict: Verdict) -> Health:
    """The run's health: failing where what it published is."""
    if verdict.state is not VerdictState.FAILING:
        return health
    return Health(state=HealthState.FAILING, reasons=[verdict.sentence, *health.reasons])


def _is_measured(measure: Measured) -> bool:
    """Whether all its figures are numbers; of two photographs, some are not."""
    figures = [measure.value, measure.photographs, *measure.controls.values(), *(measure.interval or ())]
    return all(map(math.isfinite, figures))
