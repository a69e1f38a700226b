"""Whether what a version serves is still what its report describes."""

import math
from collections.abc import Sequence

from flawsmith.core.domain.quality_report import Interval, MeasureResult
from flawsmith.core.domain.records import Moment, Record

CHANCE = 1.5  # intervals hold two standard errors; a difference of more than three is no chance


class ServedMeasure(Record):
    """A measure of served images beside what the report found for others of the same version."""

    name: str
    type: str | None
    value: float
    reported: float
    interval: Interval
    drifted: bool


class DriftCheck(Record):
    """One look at what a version serves.

    Attributes:
        version: such as ``scratches@2``.
        n: served images that were drawn again.
        measures: those that count and have an interval in the report.
        images_changed: whether known addresses gave other pixels than for the report; None where that is not known.
        reasons: what drifted, in words; empty where nothing did.
    """

    version: str
    created_at: Moment
    n: int
    measures: list[ServedMeasure]
    images_changed: bool | None
    reasons: list[str]

    @property
    def drifted(self) -> bool:
        return bool(self.reasons)


def served_measures(served: Sequence[MeasureResult], reported: Sequence[MeasureResult]) -> list[ServedMeasure]:
    """Compares measures by name and type. ``interval`` is where served images lie if nothing changed.

    Both values come from different images of the same version, so that the interval holds the errors of both, at three
    standard errors: a look a day at ten measures would else report chance as drift every month. A report's interval
    does not hold the samples' own error; that of the served images stands for it.
    """
    expected = {(each.name, each.type): each for each in reported}
    found = []
    for each in served:
        known = expected.get((each.name, each.type))
        if known is None or not (each.counts and known.counts and each.interval and known.interval):
            continue
        own, theirs = ((high - low) / 2 for low, high in (each.interval, known.interval))
        reach = CHANCE * math.hypot(own, max(own, theirs))
        interval = (known.value - reach, known.value + reach)
        found.append(
            ServedMeasure(
                name=each.name,
                type=each.type,
                value=each.value,
                reported=known.value,
                interval=interval,
                drifted=not interval[0] <= each.value <= interval[1],
            )
        )
    return found


def drift_reasons(measures: Sequence[ServedMeasure], images_changed: bool | None) -> list[str]:
    """What drifted, in words."""
    reasons = [
        f"{each.name.replace('_', ' ')}{f' of {each.type}' if each.type else ''} is {each.value:.3g}, "
        f"and {each.interval[0]:.3g} to {each.interval[1]:.3g} is to be expected"
        for each in measures
        if each.drifted
    ]
    if images_changed:
        reasons.append("the images of known addresses changed")
    return reasons
