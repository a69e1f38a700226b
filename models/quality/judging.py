"""Measures samples in every feature space, beside photographs and their controls: what a verdict is made of."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flawsmith.models.quality.calibration import Scale, distances_of, scale_of
from flawsmith.models.quality.classifier_test import classifier_test
from flawsmith.models.quality.controls import REMOVED
from flawsmith.models.quality.defect_score import DefectScore
from flawsmith.models.quality.judged_photographs import Fold, JudgedPhotographs, Pool, TypePhotographs
from flawsmith.models.quality.memorization import memorization_rate, min_nn_ratio
from flawsmith.models.quality.random_features import Features
from flawsmith.models.quality.space import Space
from flawsmith.models.quality.two_sample import energy_distance, mean_distance

SHOWN_BY = ("max_pooled", "ridges")  # the spaces that tell whether an image shows a defect
SEARCHED = 1000  # photographs at most among which copies are looked for
CONFIDENT = 3.0  # of n that were no copies, the next is one with a chance of at most 3 / n (rule of three)


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
    """The share of images that show a defect, for one type: over the splits."""

    photographs: Tensor
    removed: Tensor
    samples: float

    @property
    def sees(self) -> bool:
        """Whether photographs show it more often than photographs without their defects, beyond chance."""
        gap = self.photographs.mean() - self.removed.mean()
        return bool((self.photographs > self.removed).all()) and gap.item() > 2 * (
            self.spread + self.removed.std().item()
        )

    @property
    def spread(self) -> float:
        return self.photographs.std().item()

    @property
    def half_way(self) -> float:
        return (self.photographs.mean() + self.removed.mean()).item() / 2


@dataclass
class TypeFigures:
    """Everything measured of one type."""

    name: str
    photographs: TypePhotographs
    compared: int
    spaces: dict[str, SpaceFigures] = field(default_factory=dict)
    shown: Shown | None = None
    copies: float | None = None
    copies_by_chance: float = 0.0


def measured(
    photographs: JudgedPhotographs,
    types: Sequence[TypePhotographs],
    folds: Sequence[Fold],
    samples: Sequence[Tensor],
    spaces: Sequence[Space],
) -> Generator[None, None, list[TypeFigures]]:
    """Measures the samples, (M, C, side, side) uint8 for each type, with a pause after each space."""
    figures = [
        TypeFigures(name, each, min(len(each.images) - each.known if each.has_holdout else len(each.images), len(of)))
        for name, each, of in zip(photographs.classes, types, samples, strict=True)
    ]
    prepared: list[dict[str, Features]] = [{} for _ in folds]
    for space in spaces:
        found: list[list[SpaceFigures]] = []
        for fold, features in zip(folds, prepared, strict=True):
            features[space.name] = space.prepare(fold.lesson)
            yield
            found.append((yield from _in_space(features[space.name], fold, types, samples)))
        for figure, *parts in zip(figures, *found, strict=True):
            figure.spaces[space.name] = _together(parts)
    for fold, features in zip(folds, prepared, strict=True):
        score = DefectScore(fold.lesson, _side_by_side([features[name] for name in SHOWN_BY if name in features]))
        yield
        for figure, pool, of in zip(figures, fold.pools, samples, strict=True):
            figure.shown = _shown(figure.shown, score, figure.photographs, pool, of)
            yield
    for index, figure in enumerate(figures):
        _search_copies(figure, photographs.training[index], photographs.holdout[index], samples[index])
        yield
    return figures


def told_apart(
    folds: Sequence[Fold], types: Sequence[TypePhotographs], samples: Sequence[Tensor], fresh: Sequence[Tensor]
) -> Iterator[tuple[int, int]]:
    """For each fold, how many photographs and fresh samples a classifier told rightly, of how many; see the module.

    Where photographs are held out, it learns from all others; else from the fold's lesson.
    """
    for fold in folds:
        known, asked = [], []
        for each, pool in zip(types, fold.pools, strict=True):
            if each.has_holdout:
                known.append(each.images[: each.known])
                asked.append(each.images[each.known :])
            else:
                asked.append(each.images[pool.members])
        known = [*known, fold.lesson.images] if len(known) < len(types) else known
        fakes = [of[: len(reals)] for of, reals in zip(fresh, asked, strict=True)]
        if min(map(len, (*known, *asked, *fakes))) < 1:
            continue
        yield classifier_test([torch.cat(known), torch.cat(list(samples))], [torch.cat(asked), torch.cat(fakes)])


def _in_space(
    features: Features, fold: Fold, types: Sequence[TypePhotographs], samples: Sequence[Tensor]
) -> Generator[None, None, list[SpaceFigures]]:
    ours = []
    for each, pool in zip(types, fold.pools, strict=True):
        ours.append(features(each.images[pool.members]))
        yield
    found = []
    for index, (each, pool, of) in enumerate(zip(types, fold.pools, samples, strict=True)):
        controls = {}
        for name, worse in each.controls.items():
            controls[name] = features(worse[pool.members])
            yield
        theirs = features(of)
        likeness = {name: energy_distance(worse, theirs) for name, worse in controls.items()}
        likeness |= {
            f"type {other}": energy_distance(them, theirs) for other, them in enumerate(ours) if other != index
        }
        found.append(
            SpaceFigures(
                scale=scale_of(ours[index], controls, pool.splits, pool.kept),
                distances=distances_of(ours[index], theirs, pool.references),
                likeness=likeness,
                diversity=mean_distance([theirs]) / max(mean_distance([ours[index]]), 1e-9),
            )
        )
        yield
    return found


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
    before: Shown | None, score: DefectScore, photographs: TypePhotographs, pool: Pool, samples: Tensor
) -> Shown:
    own = (score(photographs.images[pool.members]) > 0).float()
    wiped = (score(photographs.controls[REMOVED][pool.members]) > 0).float()
    usual, removed = (torch.stack([of[part].mean() for _, part in pool.splits]) for of in (own, wiped))
    share = (score(samples) > 0).float().mean().item()
    if before is None:
        return Shown(usual, removed, share)
    return Shown(
        torch.cat([before.photographs, usual]), torch.cat([before.removed, removed]), (before.samples + share) / 2
    )


def _search_copies(figure: TypeFigures, training: Tensor, holdout: Tensor, samples: Tensor) -> None:
    """Counts near-copies among the samples; nothing where the photographs are too few to say what is near."""
    training = training[:SEARCHED]
    allowed = min_nn_ratio(training, holdout) if len(training) > 2 else 0.0
    if allowed > 0:
        figure.copies = memorization_rate(samples, training, allowed)
        figure.copies_by_chance = min(1.0, CONFIDENT / len(holdout if len(holdout) else training))


def _side_by_side(features: Sequence[Features]) -> Features:
    return lambda images: torch.cat([each(images) for each in features], 1)
