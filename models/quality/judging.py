"""Measures samples in every feature space, beside photographs and their controls: what a verdict is made of."""

import math
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flawsmith.models.quality.calibration import Scale, distances_of, scale_of
from flawsmith.models.quality.classifier_test import classifier_test
from flawsmith.models.quality.controls import REMOVED
from flawsmith.models.quality.defect_score import score_of
from flawsmith.models.quality.judged_photographs import Fold, JudgedPhotographs, Pool, TypePhotographs, folds, preparing
from flawsmith.models.quality.memorization import copied_share, min_nn_ratio
from flawsmith.models.quality.property_shares import RangeShare
from flawsmith.models.quality.random_features import Features
from flawsmith.models.quality.space import Lesson, Space
from flawsmith.models.quality.steps import Steps
from flawsmith.models.quality.two_sample import energy_distance, mean_distance

SHOWN_BY = ("learned", "max_pooled")  # the spaces that tell whether an image shows a defect
VARIETY_IN = "max_pooled"  # the space in which samples are compared with one another
SEARCHED = 2000  # photographs at most among which copies are looked for
BESIDE = 300  # photographs at most that say how near genuine ones are
# Of n photographs that are no copies, the next one looks like one with a chance of at most 3 / n (rule of three). Of
# photographs compared with one another, pairs are near to each other: only half of them tells something new.
CONFIDENT = 3.0


@dataclass
class SpaceFigures:
    """One type in one feature space.

    Attributes:
        scale: photographs and controls.
        distances: of the samples, one for each split.
        likeness: energy distance of the samples to each control, and to photographs of other types.
        diversity: mean distance of two samples, as a share of that of two photographs.
    """

    scale: Scale
    distances: Tensor
    likeness: dict[str, float]
    diversity: float

    @property
    def value(self) -> float:
        return self.distances.mean().item()


@dataclass
class Shown:
    """The share of images that show a defect, for one type.

    Attributes:
        photographs, removed: of photographs, and of the same ones without their defects, over the splits.
        samples: of the samples.
        compared: how many photographs and how many samples there are.
    """

    photographs: Tensor
    removed: Tensor
    samples: float
    compared: tuple[int, int]

    @property
    def sees(self) -> bool:
        """Whether photographs show it more often than photographs without their defects, beyond chance."""
        gap = self.photographs.mean() - self.removed.mean()
        return bool((self.photographs > self.removed).all()) and gap.item() > 2 * (
            self.spread + self.removed.std().item()
        )

    @property
    def spread(self) -> float:
        """Standard deviation of the difference that photographs and as many samples would have by chance."""
        share = self.photographs.mean().item()
        photographs, samples = self.compared
        share = min(share, 1 - 1 / (photographs + 2))  # as if one more had failed
        return math.sqrt(share * (1 - share) * (1 / photographs + 1 / samples))

    @property
    def half_way(self) -> float:
        return (self.photographs.mean() + self.removed.mean()).item() / 2


@dataclass
class TypeFigures:
    """Everything measured of one type.

    Attributes:
        name, photographs: of the type.
        compared: how many images on either side.
        spaces: by the spaces' names.
        shown: how often images show the defect.
        correlation: of neighbouring pixels, in photographs and in samples; noise has none. 0 in photographs that are
            noise themselves.
        copies: share of samples that are near-copies of photographs trained on; None where that cannot be told.
        copies_by_chance: the largest share that photographs would have.
        lacking_directions: which directions of lines the samples lack, see `lacking_directions`.
    """

    name: str
    photographs: TypePhotographs
    compared: int
    spaces: dict[str, SpaceFigures] = field(default_factory=dict)
    shown: Shown | None = None
    correlation: tuple[float, float] = (0.0, 0.0)
    copies: float | None = None
    copies_by_chance: float = 0.0
    lacking_directions: list[tuple[str, RangeShare]] = field(default_factory=list)


@dataclass(frozen=True)
class CalibratedSpace:
    """One space learned in one fold; the lists have an entry for each type.

    Attributes:
        features: the space.
        photographs: features of the pools, (P, D).
        controls: features of the pools made worse, (P, D) each.
        scales: what distances mean.
    """

    features: Features
    photographs: list[Tensor]
    controls: list[dict[str, Tensor]]
    scales: list[Scale]


@dataclass(frozen=True)
class Calibration:
    """All that is known of the photographs before the first sample.

    Attributes:
        photographs: what was given.
        types, folds: what was made of them.
        spaces: by name, an entry for each fold.
        scores: whether an image shows a defect, for each fold.
    """

    photographs: JudgedPhotographs
    types: list[TypePhotographs]
    folds: list[Fold]
    spaces: dict[str, list[CalibratedSpace]]
    scores: list[Callable[[Tensor], Tensor]]


def calibrating(photographs: JudgedPhotographs, spaces: Sequence[Space]) -> Generator[None, None, Calibration]:
    """Prepares photographs, controls and spaces, in steps of about a second."""
    types = yield from preparing(photographs)
    parts = folds(types)
    yield
    if not any(each.calibrates for each in types):
        spaces = [each for each in spaces if each.name == VARIETY_IN]
    if not types[0].in_color:
        spaces = [each for each in spaces if not each.of_color]
    calibrated: dict[str, list[CalibratedSpace]] = {}
    for space in spaces:
        calibrated[space.name] = []
        for fold in parts:
            features = yield from space.prepare(fold.lesson)
            yield
            calibrated[space.name].append((yield from _calibrated(features, fold, types, space.ignored)))
    scores = []
    for number, fold in enumerate(parts):
        by = [calibrated[name][number].features for name in SHOWN_BY if name in calibrated]
        scores.append(_scored(fold.lesson, _side_by_side(by)))
        yield
    return Calibration(photographs, types, parts, calibrated, scores)


def measured(calibration: Calibration, samples: Sequence[Tensor]) -> Generator[None, None, list[TypeFigures]]:
    """Measures the samples, (M, C, side, side) uint8 for each type, in steps."""
    of, types = calibration, calibration.types
    figures = [
        TypeFigures(name, each, min(len(each.images) - each.known if each.has_holdout else len(each.images), len(ours)))
        for name, each, ours in zip(of.photographs.classes, types, samples, strict=True)
    ]
    for name, calibrated in of.spaces.items():
        found = []
        for space, fold in zip(calibrated, of.folds, strict=True):
            found.append(_in_space(space, fold, samples))
            yield
        for figure, *parts in zip(figures, *found, strict=True):
            figure.spaces[name] = _together(parts)
    for score, fold in zip(of.scores, of.folds, strict=True):
        for figure, pool, ours in zip(figures, fold.pools, samples, strict=True):
            figure.shown = _shown(figure.shown, score, figure.photographs, pool, ours)
            yield
    for index, figure in enumerate(figures):
        own = _neighbour_correlation(types[index].images)
        correlated = len(own) > 1 and own.mean().item() > 2 * own.std().item()
        figure.correlation = own.mean().item() * correlated, _neighbour_correlation(samples[index]).mean().item()
        _search_copies(figure, of.photographs.training[index], of.photographs.holdout[index], samples[index])
        yield
    return figures


def told_apart(
    calibration: Calibration, samples: Sequence[Tensor], fresh: Sequence[Tensor]
) -> Steps[list[tuple[int, int]]]:
    """For each fold, how many photographs and fresh samples a classifier told rightly, of how many; in steps.

    It learns from the photographs trained on and is asked about those held out. Of a type without a holdout, it learns
    from one half and is asked about the other.
    """
    types, found = calibration.types, []
    for parity in range(len(calibration.folds)):
        known, asked = [], []
        for each in types:
            trained_on = each.images[: each.known]
            known.append(trained_on if each.has_holdout else trained_on[parity::2])
            asked.append(each.images[each.known :] if each.has_holdout else trained_on[1 - parity :: 2])
        fakes = [of[: len(reals)] for of, reals in zip(fresh, asked, strict=True)]
        sets = [torch.cat(known), torch.cat(list(samples))], [torch.cat(asked), torch.cat(fakes)]
        found.append((yield from classifier_test(*sets)))
    return found


def _calibrated(
    features: Features, fold: Fold, types: Sequence[TypePhotographs], without: Collection[str]
) -> Generator[None, None, CalibratedSpace]:
    """The space beside the photographs and all controls but those that it goes without."""
    found = CalibratedSpace(features, [], [], [])
    for each, pool in zip(types, fold.pools, strict=True):
        photographs, controls = features(each.images[pool.members]), {}
        yield
        for name in (of for of in each.controls if of not in without):
            controls[name] = features(each.controls[name][pool.members])
            yield
        found.photographs.append(photographs)
        found.controls.append(controls)
        found.scales.append(scale_of(photographs, controls, pool.splits, pool.kept))
    return found


def _in_space(space: CalibratedSpace, fold: Fold, samples: Sequence[Tensor]) -> list[SpaceFigures]:
    found = []
    for index, (pool, of) in enumerate(zip(fold.pools, samples, strict=True)):
        theirs, ours = space.features(of), space.photographs
        likeness = {name: energy_distance(worse, theirs) for name, worse in space.controls[index].items()}
        likeness |= {f"type {at}": energy_distance(them, theirs) for at, them in enumerate(ours) if at != index}
        found.append(
            SpaceFigures(
                scale=space.scales[index],
                distances=distances_of(ours[index], theirs, pool.references),
                likeness=likeness,
                diversity=mean_distance([theirs]) / _unit(ours, index),
            )
        )
    return found


def _unit(photographs: Sequence[Tensor], index: int) -> float:
    """Mean distance of two photographs of the type; of two of any type where it has only one."""
    own = photographs[index] if len(photographs[index]) > 1 else torch.cat(list(photographs))
    return max(mean_distance([own]), 1e-9)


def _together(parts: Sequence[SpaceFigures]) -> SpaceFigures:
    """The figures of all folds as one."""
    names = parts[0].scale.controls
    photographs = torch.cat([each.scale.photographs for each in parts])
    controls = {name: torch.cat([each.scale.controls[name] for each in parts]) for name in names}
    likeness = {name: sum(each.likeness[name] for each in parts) / len(parts) for name in parts[0].likeness}
    diversity = sum(each.diversity for each in parts) / len(parts)
    return SpaceFigures(
        Scale(photographs, controls), torch.cat([each.distances for each in parts]), likeness, diversity
    )


def _shown(
    before: Shown | None, score: Callable[[Tensor], Tensor], photographs: TypePhotographs, pool: Pool, samples: Tensor
) -> Shown:
    own = (score(photographs.images[pool.members]) > 0).float()
    wiped = (score(photographs.controls[REMOVED][pool.members]) > 0).float()
    usual, removed = (torch.stack([of[part].mean() for _, part in pool.splits]) for of in (own, wiped))
    share = (score(samples) > 0).float().mean().item()
    if before is None:
        return Shown(usual, removed, share, (len(own), len(samples)))
    return Shown(
        torch.cat([before.photographs, usual]),
        torch.cat([before.removed, removed]),
        (before.samples + share) / 2,
        (before.compared[0] + len(own), len(samples)),
    )


def _neighbour_correlation(images: Tensor) -> Tensor:
    """Of each image, the mean correlation of pixels side by side and one above the other: (N,) float32, -1 … 1."""
    values = images.float().mean(1)
    values = values - values.mean((1, 2), keepdim=True)
    power = values.square().mean((1, 2)).clamp_min(1e-6)
    products = [values[:, :, 1:] * values[:, :, :-1], values[:, 1:] * values[:, :-1]]
    return torch.stack([each.mean((1, 2)) / power for each in products]).mean(0)


def _search_copies(figure: TypeFigures, training: Tensor, holdout: Tensor, samples: Tensor) -> None:
    """Counts near-copies among the samples; nothing where the photographs are too few to say what is near."""
    training, holdout = training[:SEARCHED], holdout[:BESIDE]
    known = training if len(holdout) else training[:BESIDE]
    allowed = min_nn_ratio(known, holdout) if len(known) > 2 else 0.0
    if allowed > 0:
        figure.copies = copied_share(samples, training, allowed)
        figure.copies_by_chance = min(1.0, CONFIDENT / (len(holdout) or len(known) / 2))


def _scored(lesson: Lesson, features: Features) -> Callable[[Tensor], Tensor]:
    """Images to their scores, see `DefectScore`."""
    score = score_of(lesson, features)
    return lambda images: score(features(images))


def _side_by_side(features: Sequence[Features]) -> Features:
    return lambda images: torch.cat([each(images) for each in features], 1)
