"""Which steps of a run are recorded in its history, and which are evaluated."""

import math

from flawsmith.core.domain.training_request import EVALUATIONS

HISTORY_POINTS = 1000  # recorded steps of a whole job
SHORTEST_BETWEEN_EVALUATIONS = 4.0  # seconds, in a run whose length is a time


class Cadence:
    """Spreads recorded and evaluated steps evenly over a run; the first step is always one.

    Args:
        total_steps: length of the run.
        max_seconds: longest training time; None where only the steps count. A short time has fewer evaluations, which
            would otherwise take most of it.
    """

    def __init__(self, total_steps: int, max_seconds: float | None) -> None:
        self.total_steps, self.timed = total_steps, max_seconds is not None
        longest = math.inf if max_seconds is None else max_seconds
        self.evaluations = int(min(EVALUATIONS, 1 + longest / SHORTEST_BETWEEN_EVALUATIONS))
        self._passed = {HISTORY_POINTS: 0, self.evaluations: 0}  # parts of the run that are over, of so many

    def advance(self, step: int, progress: float) -> tuple[bool, bool]:
        """Whether the step just made is to be recorded, and whether to be evaluated.

        Args:
            step: its number, from 1.
            progress: how far the run is, 0 to 1.
        """
        record, evaluate = (self._passes(parts, step, progress) for parts in (HISTORY_POINTS, self.evaluations))
        return record, evaluate

    def resume(self, step: int, progress: float) -> None:
        """Continues after a step that was made before."""
        self._passed = {parts: self._parts_passed(parts, step, progress) for parts in self._passed}

    def _passes(self, parts: int, step: int, progress: float) -> bool:
        before, self._passed[parts] = self._passed[parts], self._parts_passed(parts, step, progress)
        return self._passed[parts] > before or step == 1

    def _parts_passed(self, parts: int, step: int, progress: float) -> int:
        """In integers, so that rounding cannot move a step of a resumed run."""
        passed = step * parts // self.total_steps
        return max(passed, int(parts * progress)) if self.timed else passed
