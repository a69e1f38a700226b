"""Compares rankings by eye with quality measures."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy
import torch
from torch import Tensor

from benchmarks.ranked_sheets import digest
from flawsmith.models.quality import report
from flawsmith.models.quality.evaluator import Evaluator
from flawsmith.models.quality.judgement import SAMPLES, JudgedPhotographs, calibrate, judge_by
from flawsmith.models.quality.judging import Calibration
from flawsmith.models.quality.registry import BY_NAME
from flawsmith.models.quality.verdict_words import STATES

OFFLINE = {
    "mmd_poly": 1,
    "density": -1,
    "coverage": -1,
    "spectrum_decades": 1,
    "histogram_levels": 1,
    "authenticity": -1,
    "memorization_rate": 1,
}
"""Figures of the offline report, the mean over feature spaces; -1 where more is better."""


def figures(
    calibration: Calibration, training: Tensor, holdout: Tensor, samples: Tensor, *, offline: bool = False
) -> dict[str, float]:
    """By name, what the measures say of samples; negative where more is better, so that less always is.

    Args:
        calibration: of these photographs.
        training, holdout, samples: (N, C, side, side) uint8, of one type.
        offline: whether to add the figures of the offline report, which take most of the time.

    Raises:
        ValueError: the samples are too few.
    """
    if len(samples) < (least := SAMPLES + len(holdout)):
        raise ValueError(f"{least} samples are needed, and there are {len(samples)}; train with more --samples")
    signals = Evaluator([training], [holdout]).signals([samples])
    directions = {"lower": 1, "higher": -1}
    found = {
        f"{name}, while training": directions[better] * value
        for name, value in signals.items()
        if (better := BY_NAME[name].better)
    }
    if offline:
        measured = report.measure(samples, holdout, training)
        found |= {f"{name}, offline": sign * _mean(getattr(measured, name)) for name, sign in OFFLINE.items()}
    judgement = judge_by(calibration, partial(_addressed, samples))
    found |= {f"{each.name}, verdict": directions[each.better] * each.value for each in judgement.measures}
    found["state, verdict"] = STATES.index(judgement.state)
    if judgement.two_sample:
        found["two-sample accuracy, verdict"] = judgement.two_sample[0]
    return found


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Correlation of the ranks, -1 to 1; equal values share their mean rank. NaN where all values are equal."""
    return torch.corrcoef(torch.tensor([_ranks(first), _ranks(second)]))[0, 1].item()


def print_correlations(rankings: Sequence[Path], runs: Path, *, offline: bool = False) -> None:
    """Prints Spearman's correlation of each figure, and of the step number, with each ranking by eye.

    Args:
        rankings: JSON files with ``run``, what it ``shows``, and ``checkpoints``: ``step``, ``ranks`` (of each pass, 1
            the best) and ``sha256`` of the samples' file.
        runs: the folder with the runs' folders.
        offline: whether to add the figures of the offline report.

    Raises:
        ValueError: the samples are not those that were ranked.
    """
    names, columns = [], []
    for each in rankings:
        ranking = json.loads(each.read_text())
        names.append(f"{ranking['run']}: {ranking['shows']}")
        columns.append(_correlations(ranking, runs / ranking["run"], offline))
    print("| figure | " + " | ".join(names) + " |\n|" + " --- |" * (len(names) + 1))
    for figure in columns[0]:
        print(f"| {figure} | " + " | ".join(f"{column.get(figure, float('nan')):.2f}" for column in columns) + " |")


def _correlations(ranking: Mapping[str, Any], run: Path, offline: bool) -> dict[str, float]:
    checkpoints = ranking["checkpoints"]
    training, holdout = (torch.from_numpy(numpy.load(run / f"{each}.npy")) for each in ("training", "holdout"))
    by_eye = [fmean(each["ranks"]) for each in checkpoints]
    passes = zip(*(each["ranks"] for each in checkpoints), strict=True)
    found = {
        "one pass by eye with another": spearman(*list(passes)[:2]),
        "step number": spearman([-each["step"] for each in checkpoints], by_eye),
    }
    samples = [_ranked_samples(run, each) for each in checkpoints]
    calibration = calibrate(_judged(training, holdout))
    measured = [figures(calibration, training, holdout, each, offline=offline) for each in samples]
    for name in measured[0]:
        found[name] = spearman([each[name] for each in measured], by_eye)
    return found


def _ranked_samples(run: Path, checkpoint: Mapping[str, Any]) -> Tensor:
    place = run / f"{checkpoint['step']}.npy"
    if digest(place) != checkpoint["sha256"]:
        raise ValueError(f"{place} does not hold the samples that were ranked; train with the ranking's command")
    return torch.from_numpy(numpy.load(place))


def _judged(training: Tensor, holdout: Tensor) -> JudgedPhotographs:
    return JudgedPhotographs(["defect"], [training], [holdout], [[None] * len(training)], [[None] * len(holdout)])


def _addressed(samples: Tensor, of_type: int, first: int, count: int) -> Tensor:
    """The samples at these seeds, from the first again after the last.

    Only the search for directions that samples lack goes so far, and it counts an image once.
    """
    return samples[torch.arange(first, first + count) % len(samples)]


def _mean(value: Any) -> float:
    """Of a figure that has one value, one for each space, or several for each space."""
    return (
        fmean(fmean(each) if isinstance(each, list) else each for each in value.values())
        if isinstance(value, dict)
        else value
    )


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, 1 the lowest; equal values share their mean rank."""
    return [sum(other < each for other in values) + (values.count(each) + 1) / 2 for each in map(float, values)]
