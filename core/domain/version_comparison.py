"""What comparing two model versions found, as GET /models/{name}/versions/{v}/compare shows it, and its words."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from flawsmith.core.domain.quality_report import Interval, MeasureResult, TwoSample
from flawsmith.core.domain.records import Moment, Record, Verdict


class Difference(Record):
    """How far the second version's value is above the first's, with its 95 % interval where it was estimated."""

    value: float
    low: float | None
    high: float | None

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class MeasureComparison(Record):
    """One measure of both versions' samples. ``type`` is None for all types: the mean, where there are several.

    ``photographs`` is the value of photographs against other photographs; the other fields are as in `MeasureResult`.
    """

    name: str
    type: str | None
    values: tuple[float, float]
    intervals: tuple[Interval | None, Interval | None]
    better: Literal["lower", "higher"]
    difference: Difference
    photographs: float
    counts: bool
    n: int

    @property
    def winner(self) -> int | None:
        """0 or 1: the version that is clearly better by a measure that counts; None where none is."""
        if not (self.counts and self.difference.clear):
            return None
        return int((self.difference.value < 0) == (self.better == "lower"))


class VersionComparison(Record):
    """Two versions, judged on the same photographs.

    Attributes:
        versions: such as ``scratches@2``, the one of the path first.
        dataset: id of the data set whose photographs they were judged on.
        resolution: side of the images that were compared, in pixels.
        classes: the defect types that both make and the data set has.
        leading: the measure that leads.
        measures: both values of each, for all types and for each type.
        verdicts: on each version, by these photographs. A version's own, on its card, is by its own photographs.
        sentence: which one is nearer to photographs.
        trained_on_by: versions that trained on photographs that samples were compared with; empty where none did.
        notes: what limits the comparison.
        n: photographs that samples were compared with.
    """

    versions: tuple[str, str]
    dataset: str
    created_at: Moment
    resolution: int
    classes: list[str]
    leading: str
    measures: list[MeasureComparison]
    verdicts: tuple[Verdict, Verdict]
    sentence: str
    trained_on_by: list[str]
    notes: list[str]
    n: int


def compared_measures(first: Sequence[MeasureResult], second: Sequence[MeasureResult]) -> list[MeasureComparison]:
    """Pairs the measures of two versions that were judged on the same photographs; what only one has is left out."""
    theirs = {(each.name, each.type): each for each in second}
    pairs = [_pair(each, theirs[each.name, each.type]) for each in first if (each.name, each.type) in theirs]
    names = list(dict.fromkeys(each.name for each in pairs))
    found = []
    for name in names:
        of_types = [each for each in pairs if each.name == name]
        found += [_mean(of_types), *of_types] if len(of_types) > 1 else of_types
    return found


def compared_tests(first: TwoSample | None, second: TwoSample | None) -> list[MeasureComparison]:
    """How well a classifier tells photographs from either version's samples; empty where it was not asked."""
    if first is None or second is None:
        return []
    results = [
        MeasureResult(
            name="two_sample",
            type=None,
            value=each.accuracy,
            photographs=0.5,
            controls={},
            interval=each.interval,
            better="lower",
            n=each.n,
        )
        for each in (first, second)
    ]
    return [_pair(*results)]


def sentence_of(versions: Sequence[str], leading: str, measures: Sequence[MeasureComparison]) -> str:
    """Which version is nearer to photographs by the leading measure, in words."""
    of_leading = [each for each in measures if each.name == leading]
    if not any(each.counts for each in of_leading):
        return "These photographs cannot tell which is nearer: no measure ranks them before photographs made worse."
    overall = of_leading[0]
    if overall.winner is not None:
        better, worse = versions[overall.winner], versions[1 - overall.winner]
        return f"{better} is nearer to photographs than {worse}: {_figures(overall, overall.winner)}."
    by_type = list(_by_type(versions, of_leading[1:]))
    if by_type:
        return f"Neither is nearer to photographs over all types, but {' and '.join(by_type)}."
    return f"No difference that these photographs can show: {_figures(overall, 1)}."


def _by_type(versions: Sequence[str], of_types: Sequence[MeasureComparison]) -> Iterator[str]:
    for index, version in enumerate(versions):
        names = [f"'{each.type}'" for each in of_types if each.winner == index]
        if names:
            yield f"{version} is nearer for {', '.join(names)}"


def _figures(measure: MeasureComparison, first: int) -> str:
    mine, other = measure.values[first], measure.values[1 - first]
    name = measure.name.replace("_", " ")
    return f"{name} {mine:.3g} against {other:.3g}, where photographs have {measure.photographs:.3g}"


def _pair(first: MeasureResult, second: MeasureResult) -> MeasureComparison:
    return MeasureComparison(
        name=first.name,
        type=first.type,
        values=(first.value, second.value),
        intervals=(first.interval, second.interval),
        better=first.better,
        difference=_difference(
            second.value - first.value, [reach for each in (first, second) if (reach := _reach(each)) is not None]
        ),
        photographs=first.photographs,
        counts=first.counts and second.counts,
        n=min(first.n, second.n),
    )


def _reach(measure: MeasureResult) -> float | None:
    """Half the width of the interval."""
    return (measure.interval[1] - measure.interval[0]) / 2 if measure.interval else None


def _difference(value: float, reaches: Sequence[float]) -> Difference:
    """As if both values erred independently. They share their photographs, so that the true interval is narrower."""
    if len(reaches) < 2:
        return Difference(value=value, low=None, high=None)
    reach = math.hypot(*reaches)
    return Difference(value=value, low=value - reach, high=value + reach)


def _mean(of_types: Sequence[MeasureComparison]) -> MeasureComparison:
    """All types, by the mean of those on which the measure counts; of all where it counts on none."""
    counting = [each for each in of_types if each.counts] or list(of_types)
    count = len(counting)

    def mean_interval(index: int, value: float) -> Interval | None:
        known = [interval for each in counting if (interval := each.intervals[index])]
        reach = math.hypot(*((high - low) / 2 for low, high in known)) / count
        return (value - reach, value + reach) if len(known) == count else None

    values = [sum(each.values[index] for each in counting) / count for index in (0, 1)]
    intervals = [mean_interval(index, values[index]) for index in (0, 1)]
    reaches = [(each[1] - each[0]) / 2 for each in intervals if each]
    return MeasureComparison(
        name=of_types[0].name,
        type=None,
        values=(values[0], values[1]),
        intervals=(intervals[0], intervals[1]),
        better=of_types[0].better,
        difference=_difference(values[1] - values[0], reaches),
        photographs=sum(each.photographs for each in counting) / count,
        counts=any(each.counts for each in of_types),
        n=sum(each.n for each in counting),
    )
