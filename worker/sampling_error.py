"""A judgement whose intervals hold the samples' own error, so that two sets of samples can be set side by side.

The judge's interval is that of photographs among themselves. Samples that are far from photographs differ more from one
draw to the next than photographs do; how much is told by parts of them, each measured by itself.
"""

import math
from collections import defaultdict
from collections.abc import Generator
from statistics import stdev

import torch
from torch import Tensor

from flawsmith.core.domain.quality_report import MeasureResult
from flawsmith.models.quality.judgement import LEAST_SAMPLES, SAMPLES, Sampler, judging_by
from flawsmith.models.quality.judging import Calibration, TypeFigures, measured
from flawsmith.worker.reports.analysis import Judged
from flawsmith.worker.verdict import judged_of, to_verdict

PARTS = 10  # of the samples, for an estimate of their error
STUDENT = 2.262  # 95 % quantile, two-sided, of Student's t with PARTS - 1 degrees of freedom

Errors = dict[tuple[str, str | None], float]
"""Standard errors by name and type of the measure."""


def judged_with_error(
    calibration: Calibration, sample: Sampler, *, composed: bool = False
) -> Generator[None, None, Judged]:
    """What the judge says of the samples, in steps of about a second. ``composed``: see `judging_by`."""
    kept = _KeptSamples(sample, max(LEAST_SAMPLES, SAMPLES // len(calibration.types)))
    judgement = yield from judging_by(calibration, kept, composed=composed)
    errors = yield from sampling_errors(calibration, kept.by_type())
    judged = judged_of(judgement, to_verdict(judgement))
    return judged.changed(measures=[widened(each, errors.get((each.name, each.type))) for each in judged.measures])


def sampling_errors(calibration: Calibration, samples: list[Tensor]) -> Generator[None, None, Errors]:
    """How much each measure varies with the draw of the samples, (M, C, side, side) uint8 for each type."""
    values: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for part in range(PARTS):
        for figures in (yield from measured(calibration, [each[part::PARTS] for each in samples])):
            for name, value in _values(figures):
                values[name, figures.name].append(value)
    return {key: stdev(each) / math.sqrt(PARTS) for key, each in values.items()}


def widened(measure: MeasureResult, error: float | None) -> MeasureResult:
    """The measure with an interval that holds this standard error too; as it is where the error is not known."""
    if error is None:
        return measure
    known = (measure.interval[1] - measure.interval[0]) / 2 if measure.interval else 0.0
    reach = math.hypot(known, STUDENT * error)
    return measure.changed(interval=(measure.value - reach, measure.value + reach))


def _values(figures: TypeFigures) -> list[tuple[str, float]]:
    found = [(name, each.value) for name, each in figures.spaces.items()]
    found.append(("diversity", next(iter(figures.spaces.values())).diversity))
    if figures.shown is not None:
        found.append(("defect_shown", figures.shown.samples))
    if figures.copies is not None:
        found.append(("memorization_rate", figures.copies))
    return found


class _KeptSamples:
    """A `Sampler` that keeps what it drew below a seed: what the judge measured."""

    def __init__(self, sample: Sampler, end: int) -> None:
        self._sample, self._end = sample, end
        self._kept: dict[int, list[Tensor]] = defaultdict(list)

    def __call__(self, each_type: int, first: int, count: int) -> Tensor:
        images = self._sample(each_type, first, count)
        if first < self._end:
            self._kept[each_type].append(images)
        return images

    def by_type(self) -> list[Tensor]:
        return [torch.cat(self._kept[each]) for each in sorted(self._kept)]
