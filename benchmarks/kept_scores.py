"""Keeps the scores of what is finished in a file, so that a long measurement may stop at any time and go on."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

S = TypeVar("S")
"""A dataclass of numbers."""


class OutOfTime(Exception):
    """The piece that `--minutes` asked for is done."""


class KeptScores(Generic[S]):
    """The scores that are there already, in a file that one process at a time adds to.

    Args:
        kind: of the scores.
        path: of the file.
        end: until when to compute further ones, in seconds of `time.monotonic`; None for ever.
    """

    def __init__(self, kind: type[S], path: Path, end: float | None) -> None:
        self.kind, self.path, self.end = kind, path, end
        self.scored: dict[str, dict[str, float]] = json.loads(path.read_bytes()) if path.exists() else {}

    def scores(self, name: str, compute: Callable[[], S]) -> S:
        """The scores under this name, computed if they are not there. Raises OutOfTime."""
        if name not in self.scored:
            if self.end is not None and time.monotonic() > self.end:
                raise OutOfTime
            self.scored[name] = vars(compute())
            write_whole(self.path, json.dumps(self.scored, indent=1))
        return self.kind(**self.scored[name])


def write_whole(path: Path, text: str) -> None:
    """Writes a file that another process may be reading or writing."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)
