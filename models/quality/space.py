"""What a feature space of the verdict declares: name, features, and the controls that it claims to see."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from flawsmith.models.quality.controls import APART, COLORED, WARPS
from flawsmith.models.quality.random_features import Features
from flawsmith.models.quality.steps import Steps


@dataclass(frozen=True)
class Lesson:
    """What a space may learn from: photographs that are not compared later.

    Attributes:
        images: photographs of all types, (N, C, side, side) uint8.
        controls: the same photographs made worse, see `controls.controls`.
        elsewhere: the same photographs, filled in where they show no defect: what filling alone does to a picture.
        masks: pixels that show a defect, (N, side, side) bool.
    """

    images: Tensor
    controls: Mapping[str, Tensor]
    elsewhere: Tensor
    masks: Tensor


@dataclass(frozen=True)
class Space:
    """Features in which samples are compared with photographs by their energy distance.

    Attributes:
        name: of the measure.
        meaning: one line for the documentation, without a full stop.
        claims: the controls that it must tell from photographs. On a data set where it misses one, it does not count.
        prepare: from the lesson to the features, (N, C, side, side) uint8 to (N, D) float32; called once for a fold.
            In steps of less than a second, see `at_once`.
        leads: whether it is part of the leading measure, see docs/training.md for how that was chosen.
        cheap: whether it may be computed while a job trains.
        paper: the source.
    """

    name: str
    meaning: str
    claims: Sequence[str]
    prepare: Callable[[Lesson], Steps[Features]]
    cheap: bool = True
    leads: bool = False
    paper: str = ""

    @property
    def of_lines(self) -> bool:
        """Whether it tells straight lines from wavering ones; only then it is measured against the `WARPS`."""
        return not set(self.claims).isdisjoint(WARPS)

    @property
    def of_color(self) -> bool:
        """Whether it looks at colors alone; photographs in gray are not measured in it."""
        return not set(self.claims).isdisjoint(COLORED)

    @property
    def ignored(self) -> frozenset[str]:
        """The controls that it is not measured against."""
        return frozenset().union(*(kind for kind in APART if kind.isdisjoint(self.claims)))


def at_once(prepare: Callable[[Lesson], Features]) -> Callable[[Lesson], Steps[Features]]:
    """For features that take one step."""

    def prepared(lesson: Lesson) -> Steps[Features]:
        yield
        return prepare(lesson)

    return prepared
