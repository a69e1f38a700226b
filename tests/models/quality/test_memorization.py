"""Copies of training photographs are recognised, other photographs are not copies."""

import torch
from tests.models.pictures import brighter, streaks

from flawsmith.models.quality.memorization import (
    authenticity,
    copied_share,
    memorization_rate,
    min_nn_ratio,
    nearest_distances,
)


def test_rotated_and_brightened_copies_are_copies() -> None:
    training, held_out = streaks(0), streaks(1, count=60)
    copies = torch.cat([brighter(training[:20]).flip(3), torch.rot90(training[20:40], 1, (2, 3))])
    assert nearest_distances(copies, training)[:, 0].max() < 0.3
    assert nearest_distances(held_out, training)[:, 0].min() > 0.3
    assert authenticity(copies, training) == 0
    assert memorization_rate(copies, training, min_nn_ratio(training, held_out)) == 1
    assert copied_share(copies, training, min_nn_ratio(training, held_out)) == 1


def test_other_photographs_are_no_copies() -> None:
    training, held_out, fresh = streaks(0), streaks(1, count=60), streaks(2, count=60)
    assert authenticity(fresh, training) > 0.3
    assert memorization_rate(fresh, training, min_nn_ratio(training, held_out)) < 0.1


def test_an_image_farther_from_its_photograph_than_that_ones_twin_is_no_copy() -> None:
    random = torch.Generator().manual_seed(0)
    surfaces = torch.randint(60, 180, (20, 1, 16, 16), generator=random).float()

    def varied(gray_levels: float) -> torch.Tensor:
        noise = torch.randn(surfaces.shape, generator=random)
        return (surfaces + gray_levels * noise).round().clamp(0, 255).byte()

    training = torch.cat([surfaces.byte(), varied(10)])
    highest = 1.0  # the bound where the only genuine photographs known lie between many others
    assert memorization_rate(varied(30), training, highest) == 1
    assert copied_share(varied(30), training, highest) == 0
    assert copied_share(varied(3), training, highest) == 1
    assert copied_share(varied(3), training, 0.0) == 0
