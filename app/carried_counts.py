"""Counts of an API that ended, added to those of the one that takes its place: no counter falls when it restarts.

The API counts in its memory, or, where it has several processes, in files that its processes share; both end with it.
Before a scrape is answered, its counts are saved. So whatever Prometheus has seen is there for the next API, and
counting itself costs nothing.
"""

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO

from prometheus_client.metrics_core import Metric

from flawsmith.core.metrics import model_label

log = logging.getLogger(__name__)

CARRIED_VARIABLE = (
    "FLAWSMITH_CARRIED_COUNTS"  # names the file with the counts of earlier APIs, for this one's processes
)
PREFIX = "flawsmith_"  # of the names that are carried on
LONGEST_WAIT, LOOK_SECONDS = 1.0, 0.005  # for the lock
_COUNTS = ("counter", "histogram")

Key = tuple[str, str, str, tuple[tuple[str, str], ...]]
"""Of a sample: name and type of its family, its own name, its labels."""


class CarriedCounts:
    """Adds the counts of earlier APIs, and saves the sums for the next one.

    Args:
        carried: file with the counts of earlier APIs. It does not change while this API runs.
        saved: file for the next one.
    """

    def __init__(self, carried: Path, saved: Path) -> None:
        self.saved = saved
        self._earlier = _read(carried)
        model_label.remember(label for key in self._earlier for name, label in key[3] if name == "model")

    def added(self, families: Iterable[Metric]) -> list[Metric]:
        """The families with the counts of earlier APIs, saved. Call it, and collect them, within `saving`."""
        counted, others = list[Metric](), list[Metric]()
        for each in families:
            (counted if each.type in _COUNTS and each.name.startswith(PREFIX) else others).append(each)
        summed, counts = _with(self._earlier, counted)
        try:
            _write(self.saved, counts)
        except OSError as error:  # a full disk must not hide the metrics
            log.warning("cannot save the counts of the metrics: %s", error)
        return [*summed, *others]

    @contextmanager
    def saving(self) -> Iterator[None]:
        """One scrape at a time, of all processes, so that no earlier counts are saved after later ones.

        A process that hangs in its scrape does not hold up those of the others for long.
        """
        try:
            lock = self.saved.with_suffix(".lock").open("w")
        except OSError:
            yield
            return
        with lock:
            _lock(lock)
            yield


def carried_counts(saved: Path | None) -> CarriedCounts | None:
    """That of this process; None where nothing is carried on. ``saved``: FLAWSMITH_METRICS_FILE."""
    carried = os.environ.get(CARRIED_VARIABLE)
    return CarriedCounts(Path(carried), saved) if saved and carried else None


def begin(saved: Path, folder: Path) -> None:
    """Keeps what the last API saved as what this one carries on, for all its processes. ``folder`` is this API's."""
    carried = folder / "carried.json"
    try:
        carried.write_bytes(saved.read_bytes())
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            log.warning("cannot read the counts of earlier metrics, so they begin at zero: %s", error)
    os.environ[CARRIED_VARIABLE] = str(carried)


def _lock(file: IO[str]) -> None:
    """Locks the file, unless others have it for all of `LONGEST_WAIT`. Closing it ends the lock."""
    end = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < end:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_SECONDS)
    return None


def _with(earlier: dict[Key, float], families: Iterable[Metric]) -> tuple[list[Metric], dict[Key, float]]:
    """The families with the earlier counts, also of what this API has not counted yet, and all these counts."""
    left, counts, summed = dict(earlier), dict[Key, float](), dict[str, Metric]()
    for family in families:
        result = summed[family.name] = Metric(family.name, family.documentation, family.type)
        for sample in family.samples:
            key = (family.name, family.type, sample.name, tuple(sorted(sample.labels.items())))
            before = left.pop(key, 0.0)
            counts[key] = sample.value + before
            result.samples.append(sample._replace(value=counts[key]) if before else sample)
    for (name, kind, sample_name, labels), value in left.items():
        family = summed.setdefault(name, Metric(name, "Counts before the last restart", kind))
        family.add_sample(sample_name, dict(labels), value)
    return list(summed.values()), counts | left


def _read(file: Path) -> dict[Key, float]:
    """The counts in a file of this release; none of a file that is missing, damaged or of another release."""
    try:
        content = json.loads(file.read_bytes())
        if content["release"] != version("flawsmith"):  # whose buckets may differ
            return {}
        return {
            (*key, tuple((name, label) for name, label in labels)): float(value)
            for *key, labels, value in content["counts"]
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(file: Path, counts: dict[Key, float]) -> None:
    content = {"release": version("flawsmith"), "counts": [(*key, value) for key, value in counts.items()]}
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content))
    unfinished.replace(file)
