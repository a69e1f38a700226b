"""What is left before a job that is over can finish is done in steps, between which the worker can stop."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from flawsmith.worker.devices.sampling_first import TrainingTurns
from flawsmith.worker.executor import Result, Segment, Work
from flawsmith.worker.segment_loop import ready_to_finish


class Finishing(Work):
    """Has three steps left, and sets ``stopping`` at one of them."""

    step, over = 1, True

    def __init__(self, stopping: threading.Event, stops_at: int | None) -> None:
        self.stopping, self.stops_at, self.done = stopping, stops_at, 0

    def before_finish(self) -> Iterator[None]:
        for number in range(3):
            self.done += 1
            if number == self.stops_at:
                self.stopping.set()
            yield

    def advance(self, segment: Segment) -> None: ...

    def save(self, segment: Segment) -> None: ...

    def finish(self, segment: Segment) -> Result:
        return Result("done", {})


@pytest.mark.parametrize(("stops_at", "ready", "done"), [(None, True, 3), (1, False, 2)])
def test_a_worker_that_stops_leaves_the_rest_to_the_next_segment(stops_at: int | None, ready: bool, done: int) -> None:
    stopping = threading.Event()
    work = Finishing(stopping, stops_at)
    nothing = cast(Any, None)
    turns = TrainingTurns(Path(), lambda: ())
    assert ready_to_finish(stopping, turns, work, nothing, nothing) is ready
    assert work.done == done
