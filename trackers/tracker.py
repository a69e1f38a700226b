"""What a tracker must be able to do. It knows nothing of Redis and of the artifact store."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from flawsmith.trackers.facts import Facts

Point = tuple[int, Mapping[str, float]]
"""A step, and its finite values by the name of their curve."""


class RunLost(Exception):
    """The tracker has the run no more: somebody deleted it there. It is not made again."""


class Tracker(ABC):
    """One place that runs are sent to. Every call may be repeated after a failure, and raises whatever it met."""

    name: str  # in messages

    @abstractmethod
    def begin(self, facts: Facts) -> str:
        """The run of a job: the one that is there, whatever happened before, else a new one. Returns its name there."""

    def go_on(self, run: str, mark: int) -> None:  # noqa: B027
        """Before the first calls of a process for a run, with what `mark` was after the last call that was noted."""

    def mark(self, run: str) -> int:
        """A number that `go_on` needs."""
        return 0

    @abstractmethod
    def describe(self, run: str, facts: Facts) -> None:
        """Brings state, name and tags up to date."""

    @abstractmethod
    def note(self, run: str, facts: Facts) -> None:
        """Brings what people wrote on the job up to date."""

    @abstractmethod
    def points(self, run: str, points: Sequence[Point], at: float) -> None:
        """Adds points to curves. A repeated call has the same ``at``, a time in seconds since 1970."""

    @abstractmethod
    def grid(self, run: str, step: int, picture: Path, at: float, *, again: bool) -> None:
        """Adds the sample grid of a step, a PNG. ``again``: a call before this one may have added it."""

    @abstractmethod
    def report(self, run: str, files: Sequence[Path], values: Point, at: float) -> None:
        """Adds the quality report of the job's version, or a newer one."""
