"""The figures of the benchmark: photographs come before photographs made worse."""

import torch
from torch import Tensor

from flawsmith.models.quality.random_features import TextureFeatures
from flawsmith.models.quality.report import coverage_in, measure
from flawsmith.models.quality.wiping import blurred

COUNT = 40


def photographs(seed: int) -> Tensor:
    """Bright lines of all widths and places on grain, (COUNT, 1, 32, 32) uint8."""
    random = torch.Generator().manual_seed(seed)
    places = torch.rand(COUNT, 1, 1, 1, generator=random) * 32
    widths = 1 + 4 * torch.rand(COUNT, 1, 1, 1, generator=random)
    away = (torch.arange(32.0) - places) / widths
    grain = 8 * torch.randn(COUNT, 1, 32, 32, generator=random)
    return (90 + 120 * torch.exp(-away.square()) + grain).clamp(0, 255).byte()


def test_coverage_falls_where_photographs_are_blurred_or_few() -> None:
    training, holdout, others = map(photographs, range(3))
    space = TextureFeatures(1, 0)
    worse = blurred(others.float(), 1.0).byte()
    few = others[:4].repeat(COUNT // 4, 1, 1, 1)
    alike, blurry, repeated = (coverage_in(space, each, holdout, training) for each in (others, worse, few))
    assert alike > 0.8
    assert blurry < 0.75 * alike and repeated < 0.75 * alike


def test_every_figure_ranks_photographs_before_blurred_ones() -> None:
    training, holdout, others = map(photographs, range(3))
    real, worse = (measure(each, holdout, training) for each in (others, blurred(others.float(), 1.0).byte()))
    space = "texture"  # layout does not see so little a blur
    assert real.coverage[space] > worse.coverage[space]
    assert sum(real.mmd_poly[space]) < sum(worse.mmd_poly[space])
    assert real.spectrum_decades < worse.spectrum_decades
    assert real.memorization_rate <= 0.1
