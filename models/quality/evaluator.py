"""Measures a generator while it trains: a few of its samples against the photographs.

Cheap enough for fifty evaluations in a run. It only measures; `core/domain/health.py` judges, and the worker chooses
checkpoints.
"""

from collections.abc import Sequence
from functools import cached_property

from torch import Tensor

from flawsmith.models.quality.comparison import Photographs, Samples, Score
from flawsmith.models.quality.measure import Measurement
from flawsmith.models.quality.registry import MEASURES


class Evaluator:
    """Compares samples with a run's photographs by all measures whose needs are met.

    Deterministic: the same images give the same values. All types have equal weight. What takes
    longest is computed type by type, by `prepare_next`, else with the first samples.

    Args:
        training: the photographs trained on, (N, C, side, side) uint8, N > 1, for each type.
        holdout: photographs never trained on, (K, C, side, side) uint8, for each type; K may be 0.
        score: the run's discriminator, if it can score images.
    """

    def __init__(self, training: Sequence[Tensor], holdout: Sequence[Tensor], score: Score | None = None) -> None:
        self._photographs = Photographs(training, holdout, score)
        self._defects = self._photographs.defects

    @property
    def unprepared_types(self) -> int:
        """Types for which `prepare_next` has still to be called."""
        return self._defects.unprepared

    def prepare_next(self) -> None:
        """Computes once what evaluations need of one more type."""
        self._defects.prepare_next()

    def signals(self, samples: Sequence[Tensor]) -> dict[str, float]:
        """Measures samples, (M, C, side, side) uint8, M > 1, for each type; by the measures' names."""
        compared = Samples(samples, self._photographs.features)
        return {name: measurement(compared) for name, measurement in self._measurements.items()}

    @cached_property
    def _measurements(self) -> dict[str, Measurement]:
        return {
            each.name: each.prepare(self._photographs)
            for each in MEASURES
            if each.prepare and all(need.met_by(self._photographs) for need in each.needs)
        }
