"""The quality figures: what they say of sets whose difference is known."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.quality.measures import (
    authenticity,
    density_and_coverage,
    energy_distance,
    histogram_distance,
    memorization_rate,
    min_nn_ratio,
    mmd_poly,
    nearest_distances,
    radial_power_spectrum,
    spectrum_distance,
)
from flawsmith.models.quality.random_features import LayoutFeatures, TextureFeatures, standardised

SIDE = 32


def photographs(seed: int, count: int = 120) -> Tensor:
    """Vertical streaks under grain: (count, 1, SIDE, SIDE) uint8."""
    random = torch.Generator().manual_seed(seed)
    streaks = F.avg_pool2d(torch.randn(count, 1, 1, SIDE + 4, generator=random), (1, 5), 1).expand(-1, -1, SIDE, -1)
    grain = torch.randn(count, 1, SIDE, SIDE, generator=random)
    return (128 + 60 * streaks + 12 * grain).clamp(0, 255).to(torch.uint8)


def blurred(images: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(images.float(), (1, 1, 1, 1), "replicate"), 3, 1).to(torch.uint8)


def brighter(images: Tensor) -> Tensor:
    return (images.int() + 20).clamp(0, 255).to(torch.uint8)


def one_repeated(images: Tensor) -> Tensor:
    return images[:1].expand_as(images)


def dented(images: Tensor, left: int) -> Tensor:
    """With a dark spot in the upper part, so far from the left."""
    spoilt = images.clone()
    spoilt[:, :, 4:12, left : left + 8] //= 3
    return spoilt


@pytest.fixture(params=[TextureFeatures, LayoutFeatures])
def features(request: pytest.FixtureRequest) -> TextureFeatures | LayoutFeatures:
    made: TextureFeatures | LayoutFeatures = request.param(1, seed=0)
    return made


def test_the_same_seed_gives_the_same_features(features: object) -> None:
    again = type(features)(1, seed=0)  # type: ignore[call-arg]
    assert torch.equal(features(photographs(0)), again(photographs(0)))  # type: ignore[operator]


def test_sets_of_one_kind_are_near_and_cover_each_other(features: object) -> None:
    real, other = features(photographs(0)), features(photographs(1))  # type: ignore[operator]
    real, other = standardised(real, real), standardised(other, real)
    density, coverage = density_and_coverage(real, other)
    assert 0.75 < density < 1.25
    assert coverage > 0.9
    assert abs(mmd_poly(real, other)) < 0.2
    assert density_and_coverage(real, real)[1] == 1


@pytest.mark.parametrize("spoilt", [blurred, brighter, one_repeated])
def test_spoilt_sets_are_farther(features: object, spoilt: object) -> None:
    real, other = photographs(0), photographs(1)
    known = features(real)  # type: ignore[operator]
    worse, good = (standardised(features(each), known) for each in (spoilt(other), other))  # type: ignore[operator]
    real = standardised(known, known)
    assert mmd_poly(real, worse) > 4 * mmd_poly(real, good) + 0.05
    assert density_and_coverage(real, worse)[1] < density_and_coverage(real, good)[1]


def test_the_layouts_features_see_where_the_defect_is() -> None:
    features = LayoutFeatures(1, seed=0)
    known, same, moved = (features(dented(photographs(seed), left)) for seed, left in ((0, 4), (1, 4), (1, 20)))
    real, same, moved = (standardised(each, known) for each in (known, same, moved))
    assert mmd_poly(real, moved) > 10 * abs(mmd_poly(real, same)) + 0.5


def test_density_and_coverage_are_their_formulas() -> None:
    real = torch.tensor([[0.0], [1.0], [3.0], [10.0]])  # radii to the first neighbour: 1, 1, 2, 7
    fake = torch.tensor([[0.5], [4.0]])
    density, coverage = density_and_coverage(real, fake, neighbours=1)
    assert density == pytest.approx((1 + 1 + 1 + 1) / 2)
    assert coverage == 1
    assert density_and_coverage(real, torch.tensor([[100.0]]), neighbours=1) == (0, 0)


def test_the_kernel_distance_is_its_formula() -> None:
    real, fake = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [3.0]])
    across = (1 + 64 + 1 + 343) / 4
    assert mmd_poly(real, fake) == pytest.approx(27 + 1 - 2 * across)


def test_a_wave_has_its_power_at_its_own_frequency() -> None:
    place = torch.arange(64) / 64
    wave = (128 + 100 * torch.sin(2 * math.pi * 9 * place)).expand(1, 1, 64, 64).to(torch.uint8)
    assert radial_power_spectrum(wave).argmax().item() + 1 == 9
    assert radial_power_spectrum(wave.transpose(2, 3)).argmax().item() + 1 == 9
    assert len(radial_power_spectrum(wave)) == 32


def test_half_the_amplitude_is_six_tenths_of_a_decade() -> None:
    grain = torch.randn(50, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    strong, weak = ((128 + scale * grain).clamp(0, 255).to(torch.uint8) for scale in (30, 15))
    assert spectrum_distance(strong, weak) == pytest.approx(math.log10(4), abs=0.03)
    assert spectrum_distance(strong, strong) == 0


def test_a_plain_image_has_a_spectrum() -> None:
    assert radial_power_spectrum(torch.full((2, 1, 32, 32), 90, dtype=torch.uint8)).isfinite().all()


def test_the_energy_distance_is_its_formula() -> None:
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [4.0]])
    assert energy_distance(real, fake) == pytest.approx(2 * (3 + 4 + 1 + 2) / 4 - 2 - 1)


def test_the_histogram_distance_is_how_far_gray_must_be_moved() -> None:
    dark = torch.full((2, 1, 8, 8), 40, dtype=torch.uint8)
    half_moved = dark.clone()
    half_moved[1] += 10
    assert histogram_distance(dark, half_moved) == pytest.approx(5)
    assert histogram_distance(dark, dark) == 0


def test_turned_and_brightened_copies_are_copies() -> None:
    training, aside = photographs(0), photographs(1, count=60)
    copies = torch.cat([brighter(training[:20]).flip(3), torch.rot90(training[20:40], 1, (2, 3))])
    assert nearest_distances(copies, training)[:, 0].max() < 0.3
    assert nearest_distances(aside, training)[:, 0].min() > 0.3
    assert authenticity(copies, training) == 0
    assert memorization_rate(copies, training, min_nn_ratio(training, aside)) == 1


def test_other_photographs_are_no_copies() -> None:
    training, aside, fresh = photographs(0), photographs(1, count=60), photographs(2, count=60)
    assert authenticity(fresh, training) > 0.3
    assert memorization_rate(fresh, training, min_nn_ratio(training, aside)) < 0.1
