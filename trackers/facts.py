"""What trackers are told of a training job: nothing but what the API shows, and neither addresses nor paths."""

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from anyascii import anyascii

from flawsmith.core.domain.job_kinds.training import TrainingJob
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.quality_report import QualityReport

LONGEST_VALUE = 500  # characters of a parameter: servers of every release of MLflow accept as many
_STRANGE = re.compile(r"[^A-Za-z0-9_./ -]+")  # to some tracker


@dataclass(frozen=True)
class Facts:
    """A training job as trackers see it. What its submission says of receivers is not among it."""

    job: TrainingJob

    @property
    def title(self) -> str:
        """Such as ``steel@3``; while there is no version, the model and the id."""
        return self.job.produced or f"{self.job.model} {self.job.id}"

    @property
    def state(self) -> JobState:
        return self.job.state

    @property
    def began(self) -> float:
        """In seconds since 1970."""
        return (self.job.started_at or self.job.created_at).timestamp()

    @property
    def ended(self) -> float | None:
        return self.job.finished_at.timestamp() if self.job.state.ended and self.job.finished_at else None

    @property
    def parameters(self) -> dict[str, str]:
        """The whole configuration; it never changes."""
        named = {"model": self.job.model, "dataset": self.job.dataset, "preset": self.job.preset}
        return {name: _shown(value) for name, value in {**self.job.config, **named}.items()}

    @property
    def tags(self) -> dict[str, str]:
        job = self.job
        found = {
            "job": job.id,
            "model": job.model,
            "dataset": job.dataset,
            "preset": job.preset,
            "state": job.state,
            "health": "; ".join([job.health.state, *job.health.reasons]),
            "version": job.produced,
            "verdict": job.verdict and f"{job.verdict.state}: {job.verdict.sentence}",
            "stop_reason": job.stop_reason,
            "error": job.error,
        }
        return {f"flawsmith.{name}": str(value) for name, value in found.items() if value}

    @property
    def digest(self) -> str:
        """Of what `Tracker.describe` tells."""
        told = [self.title, self.state, self.ended, self.tags]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def history_point(point: dict[str, float], known: Iterable[str] = ()) -> tuple[int, dict[str, float]]:
    """A recorded step without the names that are ``known`` there already."""
    names = [name for name in point if name != "step" and name not in known]
    values = {f"curves/{name}": float(point[name]) for name in names if point[name] is not None}
    return int(point["step"]), _with_plain_names(values)


def report_values(report: QualityReport) -> dict[str, float]:
    """The measures of a report by a name such as ``report/distance scratches``."""
    values = {f"report/{each.name}" + (f" {each.type}" if each.type else ""): each.value for each in report.measures}
    for name in ("memorization_rate", "authenticity"):
        if (value := getattr(report.copies, name)) is not None:
            values[f"report/{name}"] = value
    if report.two_sample:
        values["report/two_sample_accuracy"] = report.two_sample.accuracy
    return _with_plain_names(values)


def _with_plain_names(values: dict[str, float]) -> dict[str, float]:
    """Finite values, under names that every tracker accepts. Names that become equal are told apart by a number."""
    plain: dict[str, float] = {}
    for name, value in values.items():
        if not math.isfinite(value):
            continue
        group, _, rest = name.partition("/")
        wanted = kept = f"{group}/{_STRANGE.sub('_', anyascii(rest)).replace('/', '_')}"[:200]
        number = 2
        while kept in plain:
            kept, number = f"{wanted}-{number}", number + 1
        plain[kept] = value
    return plain


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
