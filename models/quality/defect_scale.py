"""Photographs beside the same ones without their defects, in features cheap enough for every evaluation of a run."""

from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from flawsmith.models.quality.calibration import Scale, random_splits, scale_of
from flawsmith.models.quality.controls import REMOVED, SMOOTHED
from flawsmith.models.quality.defect_score import DefectScore
from flawsmith.models.quality.judged_photographs import FEWEST, FEWEST_HELD_OUT
from flawsmith.models.quality.space import Lesson
from flawsmith.models.quality.spaces.max_pooled import MaxPooledFeatures
from flawsmith.models.quality.two_sample import energy_distance
from flawsmith.models.quality.wiping import defect_masks, filled, median_filtered


class DefectScale:
    """How far samples are from photographs, and how many show a defect; 0 and 1 come from the photographs themselves.

    Only types count whose photographs are told from the same ones without their defects; `seen` says how many they are.

    Args:
        training: photographs trained on, (N, C, side, side) uint8, for each type.
        holdout: photographs never trained on, (K, C, side, side) uint8, for each type; K may be 0.
    """

    def __init__(self, training: Sequence[Tensor], holdout: Sequence[Tensor]) -> None:
        self._features = MaxPooledFeatures(torch.cat(list(training)))
        self._types: dict[int, _Type] = {}
        for index, (known, held_out) in enumerate(zip(training, holdout, strict=True)):
            if len(known) >= FEWEST:
                found = _Type(self._features, known, held_out if len(held_out) >= FEWEST_HELD_OUT else known)
                if found.seen:
                    self._types[index] = found

    @property
    def seen(self) -> int:
        return len(self._types)

    def distance(self, samples: Sequence[Tensor]) -> float:
        """The samples' distance to photographs, the mean over the types that count.

        0: as photographs have among one another; 1: as photographs without their defects have. Where a median filter
        takes less away than filling does, it is what makes a distance of 1.

        Args:
            samples: (M, C, side, side) uint8, M > 1, for each type.
        """
        return fmean(each.distance(self._features(samples[index])) for index, each in self._types.items())

    def shown(self, samples: Sequence[Tensor]) -> float:
        """How often samples show the defect, the mean over the types that count.

        1: as often as photographs; 0: as often as photographs without their defects.
        """
        return fmean(each.shown(self._features(samples[index])) for index, each in self._types.items())


class _Type:
    """One type: learned from every second photograph, calibrated by the others."""

    def __init__(self, features: MaxPooledFeatures, known: Tensor, reference: Tensor) -> None:
        masks = defect_masks(known)
        wiped = {REMOVED: filled(known, masks, 0), SMOOTHED: median_filtered(known)}
        lesson = Lesson(known[::2], {name: of[::2] for name, of in wiped.items()}, known[::2], masks[::2])
        self._score = DefectScore(lesson, features)
        found, without = features(known), {name: features(of) for name, of in wiped.items()}
        splits = random_splits(len(known), len(known) // 2)
        self._scale: Scale = scale_of(found, without, splits)
        self._reference = features(reference)
        self._usual, self._removed = (self._share(of[1::2]) for of in (found, without[REMOVED]))

    @property
    def seen(self) -> bool:
        """Whether both figures tell photographs from the same ones without their defects."""
        return all(map(self._scale.sees, self._scale.controls)) and self._usual > self._removed

    def distance(self, samples: Tensor) -> float:
        nearest = min(each.mean().item() for each in self._scale.controls.values())
        usual = self._scale.usual
        return (energy_distance(self._reference, samples) - usual) / (nearest - usual)

    def shown(self, samples: Tensor) -> float:
        return (self._share(samples) - self._removed) / (self._usual - self._removed)

    def _share(self, features: Tensor) -> float:
        return (self._score.of(features) > 0).float().mean().item()
