"""Compares rankings by eye with quality measures."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy
import torch
from torch import Tensor

from flawsmith.models.quality import report
from flawsmith.models.quality.comparison import Photographs, Samples
from flawsmith.models.quality.measure import Measure, Need
from flawsmith.models.quality.registry import MEASURES

Figure = Callable[[Tensor, Tensor, Tensor], float]
"""From photographs trained on, holdout and samples, (N, C, side, side) uint8 each, to a number; less is better."""

OFFLINE = {
    "mmd_poly": 1,
    "density": -1,
    "coverage": -1,
    "spectrum_decades": 1,
    "histogram_levels": 1,
    "authenticity": -1,
    "memorization_rate": 1,
}
"""Figures of the offline report, over all feature spaces; -1 where more is better."""


def figures() -> dict[str, Figure]:
    """By name: each registered measure that has a direction and needs images alone, and those of the offline report."""
    registered = {
        each.name: _registered(each)
        for each in MEASURES
        if each.prepare and each.better and Need.DISCRIMINATOR not in each.needs
    }
    return registered | {f"{name}, offline": _offline(name) for name in OFFLINE}


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Correlation of the ranks, -1 to 1; equal values share their mean rank. NaN where all values are equal."""
    return torch.corrcoef(torch.tensor([_ranks(first), _ranks(second)]))[0, 1].item()


def print_correlations(rankings: Sequence[Path], runs: Path) -> None:
    """Prints Spearman's correlation of each figure, and of the step number, with each ranking by eye.

    Args:
        rankings: JSON files with ``run``, what it ``shows``, and ``checkpoints``: ``step``, ``ranks`` (of each pass, 1
            the best) and ``sha256`` of the samples' file.
        runs: the folder with the runs' folders.

    Raises:
        ValueError: the samples are not those that were ranked.
    """
    names, columns = [], []
    for each in rankings:
        ranking = json.loads(each.read_text())
        names.append(f"{ranking['run']}: {ranking['shows']}")
        columns.append(_correlations(ranking, runs / ranking["run"]))
    print("| figure | " + " | ".join(names) + " |\n|" + " --- |" * (len(names) + 1))
    for figure in columns[0]:
        print(f"| {figure} | " + " | ".join(f"{column.get(figure, float('nan')):.2f}" for column in columns) + " |")


def _correlations(ranking: Mapping[str, Any], run: Path) -> dict[str, float]:
    checkpoints = ranking["checkpoints"]
    training, holdout = (torch.from_numpy(numpy.load(run / f"{each}.npy")) for each in ("training", "holdout"))
    by_eye = [fmean(each["ranks"]) for each in checkpoints]
    passes = zip(*(each["ranks"] for each in checkpoints), strict=True)
    found = {
        "one pass by eye with another": spearman(*list(passes)[:2]),
        "step number": spearman([-each["step"] for each in checkpoints], by_eye),
    }
    samples = [_ranked_samples(run, each) for each in checkpoints]
    for name, figure in figures().items():
        found[name] = spearman([figure(training, holdout, each) for each in samples], by_eye)
    return found


def _ranked_samples(run: Path, checkpoint: Mapping[str, Any]) -> Tensor:
    place = run / f"{checkpoint['step']}.npy"
    if hashlib.sha256(place.read_bytes()).hexdigest() != checkpoint["sha256"]:
        raise ValueError(f"{place} does not hold the samples that were ranked; train with the ranking's command")
    return torch.from_numpy(numpy.load(place))


def _registered(measure: Measure) -> Figure:
    def figure(training: Tensor, holdout: Tensor, samples: Tensor) -> float:
        photographs = Photographs([training], [holdout])
        assert measure.prepare is not None
        value = measure.prepare(photographs)(Samples([samples], photographs.features))
        return -value if measure.better == "higher" else value

    return figure


def _offline(name: str) -> Figure:
    def figure(training: Tensor, holdout: Tensor, samples: Tensor) -> float:
        value = getattr(report.measure(samples, holdout, training), name)
        spaces = value.values() if isinstance(value, dict) else [value]
        return OFFLINE[name] * fmean(fmean(each) if isinstance(each, list) else each for each in spaces)

    return figure


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, 1 the lowest; equal values share their mean rank."""
    return [sum(other < each for other in values) + (values.count(each) + 1) / 2 for each in map(float, values)]
