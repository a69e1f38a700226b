"""Photographs beside the same ones without their defects, in features cheap enough for every evaluation of a run."""

from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from flawsmith.models.quality.calibration import random_splits, scale_of
from flawsmith.models.quality.controls import REMOVED, SMOOTHED
from flawsmith.models.quality.defect_score import DefectScore
from flawsmith.models.quality.judged_photographs import FEWEST, FEWEST_HELD_OUT
from flawsmith.models.quality.random_features import Features
from flawsmith.models.quality.spaces.max_pooled import MaxPooledFeatures
from flawsmith.models.quality.spaces.ridges import RidgeFeatures
from flawsmith.models.quality.two_sample import energy_distance
from flawsmith.models.quality.wiping import defect_masks, filled, median_filtered

MOST = 100  # photographs of a type that are compared with the same ones without their defects


class DefectScale:
    """How far samples are from photographs, and how many show a defect; 0 and 1 come from the photographs themselves.

    Only types count whose photographs are told from the same ones without their defects; `seen` says how many they are.
    Types are prepared one by one, by `prepare_next`, else where they are first needed.

    Args:
        training: photographs trained on, (N, C, side, side) uint8, for each type.
        holdout: photographs never trained on, (K, C, side, side) uint8, for each type; K may be 0.
    """

    def __init__(self, training: Sequence[Tensor], holdout: Sequence[Tensor]) -> None:
        self._types: dict[int, _Type] = {}
        self._unprepared = {
            index: (known[:MOST], held_out if len(held_out) >= FEWEST_HELD_OUT else known[:MOST])
            for index, (known, held_out) in enumerate(zip(training, holdout, strict=True))
            if len(known) >= FEWEST
        }
        if self._unprepared:
            together = torch.cat([known[:MOST] for known in training])
            self._spaces: list[Features] = [MaxPooledFeatures(together), RidgeFeatures(together)]

    @property
    def unprepared(self) -> int:
        """Types that are not prepared yet."""
        return len(self._unprepared)

    def prepare_next(self) -> None:
        """Prepares one more type. All take about as long.

        Raises:
            StopIteration: all are prepared.
        """
        index = next(iter(self._unprepared))
        found = _Type(self._spaces, *self._unprepared[index])
        del self._unprepared[index]
        if found.seen:
            self._types[index] = found

    @property
    def seen(self) -> int:
        self._prepare_all()
        return len(self._types)

    def measure(self, samples: Sequence[Tensor]) -> tuple[float, float]:
        """Distance of the samples, and how often they show the defect; the means over the types that count.

        Distance: 0 as photographs have among one another, 1 as photographs without their defects have; where a median
        filter takes less away than filling does, it is what makes a distance of 1. Shown: 1 as often as photographs,
        0 as often as photographs without their defects.

        Args:
            samples: (M, C, side, side) uint8, M > 1, for each type.
        """
        self._prepare_all()
        found = []
        for index, each in self._types.items():
            features = [space(samples[index]) for space in self._spaces]
            found.append((each.distance(features), each.shown(features)))
        return fmean(distance for distance, _ in found), fmean(shown for _, shown in found)

    def _prepare_all(self) -> None:
        while self._unprepared:
            self.prepare_next()


class _Type:
    """One type. Whether a defect is shown is learned from every second photograph, and calibrated by the others.

    Distances are those of all spaces; the first tells whether a defect is shown.
    """

    def __init__(self, spaces: Sequence[Features], known: Tensor, reference: Tensor) -> None:
        masks = defect_masks(known)
        wiped = {REMOVED: filled(known, masks, 0), SMOOTHED: median_filtered(known)}
        found = [space(known) for space in spaces]
        without = {name: [space(of) for space in spaces] for name, of in wiped.items()}
        splits = random_splits(len(known), len(known) // 2)
        self._scales = [
            scale_of(each, {name: of[index] for name, of in without.items()}, splits)
            for index, each in enumerate(found)
        ]
        self._references = [space(reference) for space in spaces]
        beside, removed, smoothed = found[0], without[REMOVED][0], without[SMOOTHED][0]
        self._score = DefectScore(beside[::2], removed[::2], [beside[::2]], [removed[::2], smoothed[::2]])
        self._usual, self._removed = self._share(beside[1::2]), self._share(removed[1::2])

    @property
    def seen(self) -> bool:
        """Whether all figures tell photographs from the same ones without their defects."""
        return (
            all(scale.sees(name) for scale in self._scales for name in scale.controls) and self._usual > self._removed
        )

    def distance(self, samples: Sequence[Tensor]) -> float:
        found = []
        for scale, reference, of in zip(self._scales, self._references, samples, strict=True):
            nearest = min(each.mean().item() for each in scale.controls.values())
            found.append((energy_distance(reference, of) - scale.usual) / (nearest - scale.usual))
        return fmean(found)

    def shown(self, samples: Sequence[Tensor]) -> float:
        return (self._share(samples[0]) - self._removed) / (self._usual - self._removed)

    def _share(self, features: Tensor) -> float:
        return (self._score(features) > 0).float().mean().item()
