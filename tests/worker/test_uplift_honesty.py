"""Whether the whole measurement is honest: `python -m benchmarks.uplift honesty`, in short, on pictures made up here.

Each type has four patterns, so three photographs of a type miss some of them, and further photographs help.
"""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from flawsmith.core.domain.evaluation_result import EvaluationResult
from flawsmith.models.evaluation.experiment import REAL, WITH_SYNTHETIC, Arm, Experiment, Sampler, Subset, arms, run
from flawsmith.models.evaluation.labelled_photographs import LabelledPhotographs, split
from flawsmith.worker.uplift import uplift

SIDE, STEPS = 32, 60
CYCLES = ((2.0, 5.0, 8.0, 11.0), (3.5, 6.5, 9.5, 12.5))  # of the stripes of each type
PER_TYPE, RATIO, REPEATS = 3, 6.0, 4
CPU = torch.device("cpu")


def stripes(cycles: tuple[float, ...], count: int, seed: int) -> Tensor:
    """Stripes of random width, place and contrast under grain: (count, 1, SIDE, SIDE) uint8."""
    random = torch.Generator().manual_seed(seed)
    chosen = torch.tensor(cycles)[torch.randint(len(cycles), (count,), generator=random)]
    phase, contrast = 6.3 * torch.rand(count, generator=random), 30 + 20 * torch.rand(count, generator=random)
    at = 6.2832 * chosen[:, None] * torch.arange(SIDE) / SIDE + phase[:, None]
    rows = (contrast[:, None] * at.sin())[:, None, None].expand(-1, -1, SIDE, -1)
    return (128 + rows + 12 * torch.randn(count, 1, SIDE, SIDE, generator=random)).clamp(0, 255).byte()


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    images = torch.cat([stripes(cycles, 60, seed) for seed, cycles in enumerate(CYCLES)])
    types = torch.arange(2).repeat_interleave(60)
    photographs = LabelledPhotographs(["even", "odd"], images, types, torch.arange(120), [None] * 120)
    return Experiment(photographs, split(photographs, [40, 40], 0), [0, 1], 0, CPU, STEPS)


def fresh(subset: Subset, counts: Mapping[int, int]) -> dict[int, Tensor]:
    return {each: stripes(CYCLES[each], count, 100 + 10 * subset.repeat + each) for each, count in counts.items()}


def noise(subset: Subset, counts: Mapping[int, int]) -> dict[int, Tensor]:
    random = torch.Generator().manual_seed(subset.repeat)
    return {
        each: torch.randint(0, 256, (count, 1, SIDE, SIDE), generator=random, dtype=torch.uint8)
        for each, count in counts.items()
    }


def verdict(experiment: Experiment, sample: Sampler) -> EvaluationResult:
    scored = dict(run(experiment, [PER_TYPE], [RATIO], REPEATS, sample))
    return uplift(scored, [PER_TYPE], [RATIO], REPEATS, experiment.held_out_by_type(), leaks=False)


def test_fresh_photographs_help(experiment: Experiment) -> None:
    result = verdict(experiment, fresh)
    assert (result.verdict, result.recommended_ratio) == ("helps", RATIO), result
    with_synthetic = next(each for each in result.arms if each.name == WITH_SYNTHETIC)
    assert with_synthetic.accuracy > 0.85


def test_noise_does_not_help(experiment: Experiment) -> None:
    result = verdict(experiment, noise)
    assert result.verdict != "helps", result
    alone = next(each for each in result.arms if each.name == "synthetic")
    assert alone.accuracy < 0.75  # the types of noise are no types


def test_nothing_under_another_seed_covers_zero(experiment: Experiment) -> None:
    scored = {}
    for repeat in range(REPEATS):
        subset = experiment.subset(PER_TYPE, repeat)
        for arm in arms([RATIO]):
            seed = 1000 + repeat if arm.name == WITH_SYNTHETIC else None
            classifier = experiment.classifier(subset, Arm(REAL, 0.0), {}, seed)
            while not classifier.over:
                classifier.step()
            scored[PER_TYPE, repeat, arm] = experiment.scores(classifier)
    result = uplift(scored, [PER_TYPE], [RATIO], REPEATS, experiment.held_out_by_type(), leaks=False)
    assert result.differences[0].accuracy.low <= 0 <= result.differences[0].accuracy.high
    assert result.verdict == "no evidence"
