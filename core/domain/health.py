"""Judges a training run in words: its photographs before it begins, its signals as it goes.

The thresholds come with the criteria that the caller passes. They are Flawsmith's own, set so that runs whose images
were found good by eye stay within them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any, Protocol

from flawsmith.core.domain.crops import WHOLE, Around, crop_of
from flawsmith.core.domain.records import Dataset, Health, HealthState

FEWEST_PHOTOGRAPHS = 30  # of a type; with fewer, near-copies are the rule (Feng et al. 2021, arXiv:2202.11765)
MOST_UNEVEN = 20  # photographs of the most frequent type for each one of the rarest
GRACE = 0.4  # share of a run before samples are judged: until then the defect types are still fading in
EVALUATIONS_JUDGED = 3  # the last ones; their median is judged, and of fewer the last one
STEPS_JUDGED = 20  # the last recorded ones; their mean is judged

MOST_LOST = 0.2  # share of the photographs' pixels that a crop may leave out
SMALLEST_DEFECT = 4  # pixels of a labelled defect at the training size

Point = dict[str, float]
Reason = tuple[HealthState, str]


class Criterion(Protocol):
    """A signal and the thresholds that it is judged by; `models.quality.measure.Measure` explains the fields."""

    @property
    def name(self) -> str: ...
    @property
    def better(self) -> str | None: ...
    @property
    def each_step(self) -> bool: ...
    @property
    def warning(self) -> float | None: ...
    @property
    def failing(self) -> float | None: ...
    @property
    def relative_to(self) -> str | None: ...
    @property
    def sentence(self) -> str: ...
    def divergence_reason(self, values: Sequence[float], last: Sequence[float]) -> str | None: ...


def data_warnings(dataset: Dataset, config: Mapping[str, Any]) -> list[str]:
    """What is doubtful about the photographs alone, as a job of this configuration cuts and scales them."""
    found = [*dataset.warnings, *_crop_warnings(dataset, crop_of(config).around, config["resolution"])]
    counts = dataset.classes
    for name, count in counts.items():
        if count < FEWEST_PHOTOGRAPHS:
            found.append(
                f"{count} photographs of '{name}': many samples will be near-copies of them, more like augmentation "
                f"than new defects; from {FEWEST_PHOTOGRAPHS} on that becomes rarer"
            )
    rarest, commonest = min(counts, key=lambda each: counts[each]), max(counts, key=lambda each: counts[each])
    if counts[commonest] > MOST_UNEVEN * counts[rarest]:
        found.append(
            f"{counts[rarest]} photographs of '{rarest}' beside {counts[commonest]} of '{commonest}': both are shown "
            "as often, so the few are seen again and again; train them alone, or add some"
        )
    return found


def _crop_warnings(dataset: Dataset, around: Around, resolution: int) -> list[str]:
    effect = dataset.crops.get(around)
    if effect is None:  # a dataset of an earlier release
        return []
    found = []
    if around is not Around.ANNOTATIONS and (effect.pixels_lost > MOST_LOST or effect.defects_lost):
        what = f"{effect.pixels_lost:.0%} of the photographs' pixels"
        if effect.defects_lost:
            what += f" and {effect.defects_lost} labelled defects wholly"
        found.append(f"the crop '{around}' loses {what}; {' or '.join(_gentler(dataset, around))} keeps more")
    if effect.left_out:
        found.append(
            f"{effect.left_out} photographs without annotations are not trained on, as nothing says where their "
            "defects are: annotate them, or choose another crop"
        )
    pixels = (effect.defect_size or math.inf) * resolution
    if pixels < SMALLEST_DEFECT:
        found.append(
            f"half of the labelled defects are smaller than {pixels:.1f} pixels at resolution {resolution}, and below "
            f"{SMALLEST_DEFECT} pixels little of a defect is left: choose a higher resolution, or cut the photographs "
            "into smaller ones"
        )
    return found


def _gentler(dataset: Dataset, around: Around) -> list[str]:
    """The crops that lose less."""
    lost = dataset.crops[around].pixels_lost
    whole = {each: effect for each, effect in dataset.crops.items() if each in WHOLE}
    return [f"'{each}'" for each, effect in whole.items() if effect.pixels_lost < lost] or ["none"]


def judge(
    data_warnings: Iterable[str],
    rollbacks: Iterable[str] = (),
    history: Sequence[Point] = (),
    progress: float = 0.0,
    criteria: Sequence[Criterion] = (),
) -> Health:
    """Judges a run.

    Args:
        data_warnings: see `data_warnings`.
        rollbacks: for each rollback, in words, why it happened.
        history: the recorded steps, as GET /training-jobs/{id}/history shows them.
        progress: how far the run is, 0 to 1; 1 for one that has ended, however early.
        criteria: the signals to judge.

    Raises:
        ValueError: the progress is not within 0 and 1.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress is a share of the run, 0 to 1, not {progress}")
    reasons = [(HealthState.WARNING, each) for each in (*data_warnings, *rollbacks)]
    evaluated = _evaluated(history, criteria)
    if evaluated and progress >= GRACE:
        reasons += _beyond_thresholds(history, evaluated, criteria)
        if words := diverged(history, since=0, criteria=criteria):
            reasons.append((HealthState.FAILING, words))
    reasons = list(dict.fromkeys(reasons))  # two signals may say the same
    states = [state for state, _ in reasons]
    worst = next((each for each in (HealthState.FAILING, HealthState.WARNING) if each in states), HealthState.GOOD)
    return Health(state=worst, reasons=[words for _, words in reasons])


def diverged(history: Sequence[Point], since: int, criteria: Sequence[Criterion]) -> str | None:
    """Why a run must return to its best networks, in words; None if it need not.

    Args:
        history: the recorded steps.
        since: the step of the last rollback; evaluations up to it are no reason.
        criteria: the signals to judge.
    """
    evaluated = _evaluated(history, criteria)
    if sum(point["step"] > since for point in evaluated) < EVALUATIONS_JUDGED:
        return None
    for each in criteria:
        values = [point[each.name] for point in evaluated if each.name in point]
        if values and (words := each.divergence_reason(values, values[-EVALUATIONS_JUDGED:])):
            return words
    return None


def _evaluated(history: Sequence[Point], criteria: Sequence[Criterion]) -> list[Point]:
    """The recorded steps at which samples were measured."""
    names = {each.name for each in criteria if not each.each_step}
    return [point for point in history if names & point.keys()]


def _beyond_thresholds(
    history: Sequence[Point], evaluated: Sequence[Point], criteria: Sequence[Criterion]
) -> list[Reason]:
    judged = EVALUATIONS_JUDGED if len(evaluated) >= EVALUATIONS_JUDGED else 1  # the mean of two is no run's state
    last_evaluations, last_steps = evaluated[-judged:], history[-STEPS_JUDGED:]
    of_evaluations = {name: median(_values(name, last_evaluations)) for name in evaluated[-1]}
    of_steps = {name: fmean(_values(name, last_steps)) for name in last_steps[0]}
    reasons = []
    for each in criteria:
        current = of_steps if each.each_step else of_evaluations
        if state := _state(each, current):
            words = each.sentence.format(
                value=current[each.name], step=evaluated[-1]["step"], warning=each.warning, failing=each.failing
            )
            reasons.append((state, words))
    return reasons


def _state(criterion: Criterion, current: Point) -> HealthState | None:
    """Which threshold a signal's current value is beyond, if any."""
    value = current.get(criterion.name)
    unit = current.get(criterion.relative_to) if criterion.relative_to else 1.0
    if value is None or unit is None:
        return None
    thresholds = ((HealthState.FAILING, criterion.failing), (HealthState.WARNING, criterion.warning))
    for state, threshold in thresholds:
        if threshold is not None and (
            value < threshold * unit if criterion.better == "higher" else value > threshold * unit
        ):
            return state
    return None


def _values(name: str, points: Iterable[Point]) -> list[float]:
    return [point[name] for point in points if name in point]
