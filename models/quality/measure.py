"""What a quality measure declares: name, direction, needs, thresholds, words and source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from flawsmith.models.quality.comparison import Photographs, Samples

Measurement = Callable[[Samples], float]


class Need(Enum):
    """What a measure cannot do without, in words."""

    HOLDOUT = "holdout photographs"
    NEIGHBOURS = "three different photographs"
    DEFECTS = "defects that can be told from the same photographs without them"
    DISCRIMINATOR = "a discriminator that scores single images"

    def met_by(self, photographs: Photographs) -> bool:
        """Whether a run's photographs, and what came with them, have it."""
        if self is Need.HOLDOUT:
            return any(map(len, photographs.holdout_scored))
        if self is Need.NEIGHBOURS:
            return photographs.min_nn_ratio > 0
        if self is Need.DEFECTS:
            return photographs.defects.seen > 0
        return photographs.score is not None


@dataclass(frozen=True)
class Divergence:
    """When the values of a measure say that a run diverged and must return to its best networks.

    Attributes:
        rule: the condition in words, for the documentation.
        reason: from all values so far and the last few of them to what happened, in words; None where nothing did.
    """

    rule: str
    reason: Callable[[Sequence[float], Sequence[float]], str | None]


@dataclass(frozen=True)
class Measure:
    """A signal of a training run. History, metrics, health and documentation follow from its fields.

    Attributes:
        name: of the signal in the history and in the metrics.
        meaning: one line for the documentation, without a full stop.
        better: which direction is better; None where neither is.
        prepare: from a run's photographs to the function that measures samples; called once a run. None for a value
            that the trainer's step returns: it is recorded at every recorded step.
        needs: what must be there; without it the signal is left out.
        warning, failing: values beyond which a run's health is a warning, or failing.
        relative_to: a signal of the same step whose multiples the thresholds are.
        sentence: what to say beyond a threshold; a format string of ``value``, ``step``, ``warning`` and ``failing``.
        divergence: when a run must return to its best networks.
        paper: the source.
    """

    name: str
    meaning: str
    better: Literal["lower", "higher"] | None
    prepare: Callable[[Photographs], Measurement] | None = None
    needs: tuple[Need, ...] = ()
    warning: float | None = None
    failing: float | None = None
    relative_to: str | None = None
    sentence: str = ""
    divergence: Divergence | None = None
    paper: str = ""

    @property
    def each_step(self) -> bool:
        """Whether it is a value of every training step, not of an evaluation."""
        return self.prepare is None

    def divergence_reason(self, values: Sequence[float], last: Sequence[float]) -> str | None:
        """Why a run with these values diverged, in words; None if it did not.

        Args:
            values: of all evaluations so far.
            last: the last few of them.
        """
        return self.divergence.reason(values, last) if self.divergence else None
