"""What is to be said of a training run, in words: of its photographs before it begins, and of its signals as it goes.

The signals are those of `models/watching.py` and the trainers. Bounds: Flawsmith's own, set so that runs whose images
were found good by eye stay under them.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean, median

from flawsmith.core.domain.records import Dataset, Health, HealthState

FEWEST_PHOTOGRAPHS = 30  # of a type; with fewer, near-copies are the rule (Feng et al. 2021, arXiv:2202.11765)
MOST_UNEVEN = 20  # photographs of the most frequent type for each one of the rarest
GRACE = 0.4  # of a run, before which samples are not judged: then types are told apart
EVALUATIONS = 3  # the last ones, whose median is judged
LOSSES = 20  # the last recorded steps, whose mean is judged

MAX_MEMORIZATION_RATE = (
    0.05  # share of the samples; a checkpoint with more is published only where there is none with fewer
)
FAR, AWAY = 0.1, 0.5  # distance of samples to photographs, as a share of the distance of two photographs
LEAST_DIVERSITY, COLLAPSED = 0.6, 0.3
MOST_NEAR_DUPLICATES = 0.05
HIGHEST_SIGN_RATE = 0.9
MAX_OVERFITTING_R_V = 1.2
HEAVIEST_PENALTY = 20.0  # as many times the loss
DIVERGED = 10.0  # as many times the best distance, and at least:
DIVERGED_AT_LEAST = 0.5

Point = dict[str, float]
Finding = tuple[HealthState, str]


def data_warnings(dataset: Dataset) -> list[str]:
    """What the photographs alone make doubtful."""
    found = list(dataset.warnings)
    counts = dataset.classes
    for name, count in counts.items():
        if count < FEWEST_PHOTOGRAPHS:
            found.append(
                f"{count} photographs of '{name}': many samples will be near-copies of them, more like augmentation "
                f"than new defects; from {FEWEST_PHOTOGRAPHS} on that becomes rarer"
            )
    rarest, commonest = min(counts, key=lambda each: counts[each]), max(counts, key=lambda each: counts[each])
    if counts[commonest] > MOST_UNEVEN * counts[rarest]:
        found.append(
            f"{counts[rarest]} photographs of '{rarest}' beside {counts[commonest]} of '{commonest}': both are shown "
            "as often, so the few are seen again and again; train them alone, or add some"
        )
    return found


def judge(data_warnings: Iterable[str], rollbacks: Iterable[str], history: Sequence[Point], progress: float) -> Health:
    """A run's health.

    Args:
        data_warnings: see `data_warnings`.
        rollbacks: what went wrong and was mended.
        history: recorded steps, as GET /training-jobs/{id}/history shows them.
        progress: how far the run is, 0 to 1; 1 for one that is over, however soon it ended.
    """
    analysis = [(HealthState.WARNING, each) for each in (*data_warnings, *rollbacks)]
    evaluated = [point for point in history if "distance" in point]
    if evaluated and progress >= GRACE:
        analysis += [*_of_samples(evaluated), *_of_losses(history)]
        if words := diverged(history, since=0):
            analysis.append((HealthState.FAILING, words))
    states = [state for state, _ in analysis]
    worst = next((each for each in (HealthState.FAILING, HealthState.WARNING) if each in states), HealthState.GOOD)
    return Health(state=worst, reasons=[words for _, words in analysis])


def diverged(history: Sequence[Point], since: int) -> str | None:
    """Why a run is to go back to its best checkpoint, in words; None where it is not.

    Args:
        history: recorded steps.
        since: the step from which the run went on; what was before it is no reason.
    """
    evaluated = [point for point in history if "distance" in point]
    last = [point for point in evaluated if point["step"] > since][-EVALUATIONS:]
    if len(last) < EVALUATIONS:
        return None
    best = max(min(point["distance"] for point in evaluated), 0.0)
    if min(point["distance"] for point in last) > max(DIVERGED * best, DIVERGED_AT_LEAST):
        return (
            f"samples went away from the photographs: their distance was {best:.3g}, and is {last[-1]['distance']:.3g}"
        )
    diversities = [point.get("diversity", 1.0) for point in evaluated]
    if max(diversities) > LEAST_DIVERSITY and max(diversities[-EVALUATIONS:]) < COLLAPSED:
        return f"samples became alike: they differ {diversities[-1]:.0%} as much as photographs do"
    return None


def _of_samples(evaluated: Sequence[Point]) -> list[Finding]:
    last = evaluated[-EVALUATIONS:]
    now = {name: median(point[name] for point in last if name in point) for name in evaluated[-1]}
    found: list[Finding] = []
    if now["distance"] > FAR:
        state = HealthState.FAILING if now["distance"] > AWAY else HealthState.WARNING
        words = f"after {evaluated[-1]['step']} steps samples do not look like the photographs yet"
        found.append((state, f"{words}: their distance is {now['distance']:.2f}, where {FAR} is near"))
    diversity, twins, copies = (
        now.get("diversity", 1.0),
        now.get("near_duplicates", 0.0),
        now.get("memorization_rate", 0.0),
    )
    if diversity < LEAST_DIVERSITY:
        state = HealthState.FAILING if diversity < COLLAPSED else HealthState.WARNING
        found.append((state, f"samples are too much alike: they differ {diversity:.0%} as much as photographs do"))
    if twins > MOST_NEAR_DUPLICATES:
        found.append((HealthState.WARNING, f"{twins:.0%} of the pairs of samples are nearly the same image"))
    if copies > MAX_MEMORIZATION_RATE:
        found.append((HealthState.WARNING, f"{copies:.0%} of the samples are near-copies of photographs trained on"))
    if now.get("overfitting_r_v", 0.0) > MAX_OVERFITTING_R_V:
        words = "the discriminator takes photographs that it was not shown for samples: it learns the others by heart"
        found.append((HealthState.WARNING, words))
    return found


def _of_losses(history: Sequence[Point]) -> list[Finding]:
    last = history[-LOSSES:]
    mean = {name: fmean(point[name] for point in last if name in point) for name in last[0]}
    found: list[Finding] = []
    if mean.get("sign_rate", 0.0) > HIGHEST_SIGN_RATE:
        words = "the discriminator tells every photograph from every sample: the generator learns little from it"
        found.append((HealthState.WARNING, words))
    penalty = max(mean.get("real_penalty", 0.0), mean.get("fake_penalty", 0.0))
    if penalty > HEAVIEST_PENALTY * mean.get("discriminator_loss", penalty):
        words = "the gradient penalties outweigh the loss by far: a lower gradient_penalty would let it learn"
        found.append((HealthState.WARNING, words))
    return found
