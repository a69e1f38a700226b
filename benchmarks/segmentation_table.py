"""The table of `benchmarks.segmentation`: means over seeds, and differences paired by seed with their intervals."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from scipy import stats

MEASURES = ("average_precision", "iou")
BASELINE = "augmented"
COVERED = 0.95  # of the intervals of as many seeds, so many hold the true mean


def printed(
    scored: Mapping[str, Mapping[str, float]],
    sets: Sequence[str],
    labelled: Sequence[int],
    repeats: int,
    arms: Sequence[str],
) -> str:
    """A table in Markdown. Arms of which a seed is missing are left out.

    Args:
        scored: by `set/labelled/seed/arm`, the fields of `PixelScores`.
    """
    rows = [
        "| set | labelled | arm | pixel AP | IoU | AP less augmented | IoU less augmented |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in sets:
        for count in labelled:
            for arm in arms:
                keys = [[f"{name}/{count}/{seed}/{each}" for seed in range(repeats)] for each in (arm, BASELINE)]
                if all(key in scored for of_arm in keys for key in of_arm):
                    own, base = ([scored[key] for key in of_arm] for of_arm in keys)
                    cells = [f"{fmean(each[measure] for each in own):.3f}" for measure in MEASURES]
                    cells += ["" if arm == BASELINE else _difference(own, base, measure) for measure in MEASURES]
                    rows.append(f"| {name} | {count} | {arm} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the ends of its 95 % interval by Student's t; one difference has no interval."""
    mean = fmean(differences)
    if len(differences) < 2:
        return mean, float("-inf"), float("inf")
    half = float(stats.t.ppf((1 + COVERED) / 2, len(differences) - 1)) * stdev(differences) / len(differences) ** 0.5
    return mean, mean - half, mean + half


def _difference(own: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]], measure: str) -> str:
    mean, low, high = interval([one[measure] - other[measure] for one, other in zip(own, base, strict=True)])
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
