"""Judges a generator by the photographs that it was trained on, in words."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from flawsmith.models.quality.random_features import CombinedFeatures
from flawsmith.models.quality.two_sample import energy_distance

Sampler = Callable[[int, int, int], Tensor]
"""Type, first seed and count -> the samples at these addresses, (count, C, side, side) uint8."""

State = Literal["good", "warning", "failing"]

SAMPLES = 200  # of all types together


@dataclass(frozen=True)
class JudgedPhotographs:
    """The photographs that a generator is judged by.

    Attributes:
        classes: the defect types.
        training: for each type, photographs trained on, (N, C, side, side) uint8.
        holdout: for each type, photographs never trained on, (K, C, side, side) uint8; K may be 0.
        training_masks, holdout_masks: for each of them, the pixels that show a defect, (side, side) bool, or None.
    """

    classes: list[str]
    training: list[Tensor]
    holdout: list[Tensor]
    training_masks: list[list[Tensor | None]]
    holdout_masks: list[list[Tensor | None]]


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
    leading: str = "distance"
    measures: list[Judged] = field(default_factory=list)
    two_sample: tuple[float, tuple[float, float], int] | None = None


def judge(photographs: JudgedPhotographs, sample: Sampler) -> Judgement:
    """Judges the samples; the same photographs and samples give the same judgement.

    The global random state stays as it is.
    """
    measures = []
    for index, name in enumerate(photographs.classes):
        known, held_out = photographs.training[index], photographs.holdout[index]
        reference = held_out if len(held_out) > 1 else known
        features = CombinedFeatures(known)
        samples = sample(index, 0, SAMPLES // len(photographs.classes))
        value = energy_distance(features(reference), features(samples))
        own = energy_distance(*(features(known[start::2]) for start in range(2)))
        measures.append(
            Judged("distance", name, value, own, {}, None, "lower", min(len(reference), len(samples)), counts=False)
        )
    worst = max(measures, key=lambda each: each.value)
    state: State = "warning" if torch.isfinite(torch.tensor(worst.value)) else "failing"
    sentence = (
        f"samples of '{worst.type}' are {worst.value:.3g} from photographs, and photographs {worst.photographs:.3g}"
    )
    return Judgement(state, sentence, [sentence], "distance", measures)
