"""Judges a generator by the photographs that it was trained on, in words."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from flawsmith.models.quality.classifier_test import wilson_interval
from flawsmith.models.quality.combined import COMBINED, combined, counting
from flawsmith.models.quality.controls import REMOVED
from flawsmith.models.quality.judged_photographs import (
    JudgedPhotographs,
)
from flawsmith.models.quality.judging import VARIETY_IN, Calibration, TypeFigures, calibrating, measured, told_apart
from flawsmith.models.quality.property_shares import RangeShare, direction_shares, lacking_directions
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.models.quality.steps import result_of
from flawsmith.models.quality.verdict_words import STATES, State, TypeVerdict, verdict_of

__all__ = ["Judged", "JudgedPhotographs", "Judgement", "Sampler", "State", "calibrate", "judge", "judge_by", "judging"]

Sampler = Callable[[int, int, int], Tensor]
"""Type, first seed and count -> the samples at these addresses, (count, C, side, side) uint8."""

SAMPLES, LEAST_SAMPLES = 150, 40  # of all types together, but at least of each
DIRECTED = 300  # more samples of all types together whose directions are looked at
MOST_DIRECTED = 1000  # photographs of a type whose directions are looked at
BATCH = 16
CHANCE = 0.5  # accuracy of a classifier that cannot tell two sets apart


@dataclass(frozen=True)
class Judged:
    """One measure of the samples; see core's `MeasureResult`."""

    name: str
    type: str | None
    value: float
    photographs: float
    controls: dict[str, float]
    interval: tuple[float, float] | None
    better: Literal["lower", "higher"]
    n: int
    counts: bool = True


@dataclass(frozen=True)
class Judgement:
    """What the samples are worth.

    Attributes:
        state: of the worst of the types.
        sentence: the verdict in one sentence.
        reasons: why, the worst first.
        leading: name of the measure that leads.
        measures: all of them, for each type.
        two_sample: accuracy of a classifier that tells held-out photographs from samples, its 95 % interval, and how
            many images it was asked about; None where the photographs are too few.
    """

    state: State
    sentence: str
    reasons: list[str] = field(default_factory=list)
    leading: str = ""
    measures: list[Judged] = field(default_factory=list)
    two_sample: tuple[float, tuple[float, float], int] | None = None


def judge(photographs: JudgedPhotographs, sample: Sampler) -> Judgement:
    """Judges the samples; the same photographs and samples give the same judgement.

    The global random state stays as it is.
    """
    return judge_by(calibrate(photographs), sample)


def calibrate(photographs: JudgedPhotographs) -> Calibration:
    """What `judge` finds out about the photographs; several generators can be judged by it."""
    return result_of(calibrating(photographs, SPACES))


def judge_by(calibration: Calibration, sample: Sampler) -> Judgement:
    """`judge`, by photographs that were calibrated before."""
    return result_of(judging_by(calibration, sample))


def judging(photographs: JudgedPhotographs, sample: Sampler) -> Generator[None, None, Judgement]:
    """`judge` in steps of about a second, so that the caller can stop between two of them."""
    calibration = yield from calibrating(photographs, SPACES)
    return (yield from judging_by(calibration, sample))


def judging_by(
    calibration: Calibration, sample: Sampler, *, composed: bool = False
) -> Generator[None, None, Judgement]:
    """`judge_by` in steps.

    Args:
        calibration, sample: see `judge_by`.
        composed: whether samples are composed of the photographs: then the sentence says so, and copies are no fault.
    """
    types = calibration.types
    count = max(LEAST_SAMPLES, SAMPLES // len(types))
    samples = yield from sampled(sample, len(types), 0, count)
    figures = yield from measured(calibration, samples)
    if composed:
        for each in figures:
            each.copies_by_chance = 1.0
    for each in figures:
        if (leading := combined(each, SPACES)) is not None:
            each.spaces[COMBINED] = leading
    asked = [len(each.images) - each.known if each.has_holdout else each.known // 2 + 1 for each in types]
    fresh = yield from sampled(sample, len(types), count, max(asked))
    two_sample = yield from _two_sample(calibration, samples, fresh)
    further = yield from sampled(sample, len(types), count + max(asked), DIRECTED // len(types))
    for index, (figure, *drawn) in enumerate(zip(figures, samples, fresh, further, strict=True)):
        figure.lacking_directions = _lacking_directions(calibration.photographs, index, torch.cat(drawn))
        yield
    verdicts = [verdict_of(each, SPACES, calibration.photographs.classes) for each in figures]
    judgement = _judgement(figures, verdicts, two_sample)
    return replace(judgement, sentence=_of_photographs(judgement.sentence)) if composed else judgement


def sampled(sample: Sampler, types: int, first: int, count: int) -> Generator[None, None, list[Tensor]]:
    """Samples of the addresses from ``first`` on, (count, C, side, side) uint8 for each type, in steps of a batch."""
    found = []
    for each in range(types):
        batches = []
        for start in range(first, first + count, BATCH):
            batches.append(sample(each, start, min(BATCH, first + count - start)))
            yield
        found.append(torch.cat(batches))
    return found


def _lacking_directions(photographs: JudgedPhotographs, index: int, samples: Tensor) -> list[tuple[str, RangeShare]]:
    """Images that are given several times, as by a generator that collapsed, count once."""
    known = torch.cat([photographs.training[index], photographs.holdout[index]])
    known = known[torch.randperm(len(known), generator=torch.Generator().manual_seed(0))[:MOST_DIRECTED]]
    different = samples.flatten(1).unique(dim=0).view(-1, *samples.shape[1:])
    return lacking_directions(direction_shares(known, different))


def _two_sample(
    calibration: Calibration, samples: Sequence[Tensor], fresh: Sequence[Tensor]
) -> Generator[None, None, tuple[float, tuple[float, float], int] | None]:
    right = asked = 0
    if all(each.calibrates for each in calibration.types):
        for told, of in (yield from told_apart(calibration, samples, fresh)):
            right, asked = right + told, asked + of
    return (right / asked, wilson_interval(right, asked), asked) if asked else None


def _judgement(
    figures: Sequence[TypeFigures],
    verdicts: Sequence[TypeVerdict],
    two_sample: tuple[float, tuple[float, float], int] | None,
) -> Judgement:
    objections = [objection for each in verdicts for objection in each.objections]
    objections.sort(key=lambda each: (-STATES.index(each.state), each.rank))
    worst = max(
        verdicts, key=lambda each: (STATES.index(each.state), -min((of.rank for of in each.objections), default=9))
    )
    reasons = list(dict.fromkeys(each.words for each in objections)) or [each.good for each in verdicts]
    state, sentence = worst.state, _sentence(worst)
    if two_sample:
        accuracy, (low, high), n = two_sample
        told = f"a classifier tells photographs from samples in {accuracy:.0%} of {n} cases"
        reasons.append(f"{told} ({low:.0%} to {high:.0%}; 50% is chance)")
        if state == "good" and low > CHANCE:
            state, sentence = "warning", f"{sentence.rstrip('.')}, but {told}."
    return Judgement(
        state=state,
        sentence=sentence,
        reasons=reasons,
        leading=worst.leading,
        measures=[judged for each in figures for judged in _judged(each)],
        two_sample=two_sample,
    )


def _of_photographs(sentence: str) -> str:
    return f"Made of your photographs: {sentence[0].lower()}{sentence[1:]}"


def _sentence(worst: TypeVerdict) -> str:
    """The worst that is to be said of a type, and how far its samples are."""
    said = worst.objections[:1] + [each for each in worst.objections[1:] if each.of_distance]
    words = "; ".join(each.words for each in said) or worst.good
    return f"{words[0].upper()}{words[1:]}."


def _judged(figures: TypeFigures) -> list[Judged]:
    """All measures of a type."""
    name, n = figures.name, figures.compared
    found = _in_spaces(figures)
    diversity = figures.spaces[VARIETY_IN].diversity
    found.append(Judged("diversity", name, diversity, 1.0, {"one image repeated": 0.0}, None, "higher", n))
    if (shown := figures.shown) is not None:
        usual, removed = shown.photographs.mean().item(), {REMOVED: shown.removed.mean().item()}
        found.append(Judged("defect_shown", name, shown.samples, usual, removed, None, "higher", n, shown.sees))
    if figures.copies is not None:
        returned = {"photographs trained on": 1.0}
        found.append(Judged("memorization_rate", name, figures.copies, 0.0, returned, None, "lower", n))
    return found


def _in_spaces(figures: TypeFigures) -> list[Judged]:
    """The distances between samples and photographs in each space."""
    found = []
    trusted = {COMBINED, *(each.name for each in counting(figures, SPACES))}
    for name, of in figures.spaces.items():
        reach = 2 * of.scale.spread
        found.append(
            Judged(
                name=name,
                type=figures.name,
                value=of.value,
                photographs=of.scale.usual,
                controls={control: each.mean().item() for control, each in of.scale.controls.items()},
                interval=(of.value - reach, of.value + reach),
                better="lower",
                n=figures.compared,
                counts=name in trusted,
            )
        )
    return found
