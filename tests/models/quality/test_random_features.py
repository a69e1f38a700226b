"""Random features: reproducible, and far apart for sets that differ."""

from collections.abc import Callable

import pytest
import torch
from tests.models.pictures import blurred, brighter, streaks
from torch import Tensor

from flawsmith.models.quality.random_features import Features, LayoutFeatures, TextureFeatures, standardised
from flawsmith.models.quality.two_sample import density_and_coverage, mmd_poly

SPACES = pytest.mark.parametrize("space", [TextureFeatures, LayoutFeatures])
Space = Callable[[int, int], Features]


def one_repeated(images: Tensor) -> Tensor:
    return images[:1].expand_as(images)


def dented(images: Tensor, left: int) -> Tensor:
    """With a dark spot in the upper part, so far from the left."""
    spoilt = images.clone()
    spoilt[:, :, 4:12, left : left + 8] //= 3
    return spoilt


@SPACES
def test_the_same_seed_gives_the_same_features(space: Space) -> None:
    assert torch.equal(space(1, 0)(streaks(0)), space(1, 0)(streaks(0)))
    assert not torch.equal(space(1, 0)(streaks(0)), space(1, 1)(streaks(0)))


@SPACES
def test_sets_of_one_kind_are_near_and_cover_each_other(space: Space) -> None:
    real, other = space(1, 0)(streaks(0)), space(1, 0)(streaks(1))
    real, other = standardised(real, real), standardised(other, real)
    density, coverage = density_and_coverage(real, other)
    assert 0.75 < density < 1.25
    assert coverage > 0.9
    assert abs(mmd_poly(real, other)) < 0.2
    assert density_and_coverage(real, real)[1] == 1


@SPACES
@pytest.mark.parametrize("spoil", [blurred, brighter, one_repeated])
def test_spoilt_sets_are_farther(space: Space, spoil: Callable[[Tensor], Tensor]) -> None:
    features, real, other = space(1, 0), streaks(0), streaks(1)
    known = features(real)
    worse, good = (standardised(features(each), known) for each in (spoil(other), other))
    real = standardised(known, known)
    assert mmd_poly(real, worse) > 4 * mmd_poly(real, good) + 0.05
    assert density_and_coverage(real, worse)[1] < density_and_coverage(real, good)[1]


def test_layout_features_see_where_the_defect_is() -> None:
    features = LayoutFeatures(1, seed=0)
    known, same, moved = (features(dented(streaks(seed), left)) for seed, left in ((0, 4), (1, 4), (1, 20)))
    real, same, moved = (standardised(each, known) for each in (known, same, moved))
    assert mmd_poly(real, moved) > 10 * abs(mmd_poly(real, same)) + 0.5
