"""What the augmentation does to an image, and that both images of a pair are augmented alike."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from flawsmith.models.training.augmentation import (
    AugmentationParameters,
    Strength,
    Symmetries,
    augment,
    sample_augmentation,
)

SIDE = 8
ALL = torch.ones(2, dtype=torch.bool)
EVERYTHING = Symmetries(horizontal_flip=ALL, vertical_flip=ALL, transposition=ALL)
NOTHING = Symmetries(horizontal_flip=~ALL, vertical_flip=~ALL, transposition=~ALL)
STRONG = Strength(probability=1, shift=0.25, brightness=0.5, contrast=0.5)
NONE = Strength(probability=0, shift=0, brightness=0.5, contrast=0.5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=generator(1))


def unchanged(count: int) -> AugmentationParameters:
    return sample_augmentation(torch.zeros(count, dtype=torch.int64), SIDE, NONE, NOTHING, generator())


def test_without_symmetries_and_at_probability_0_an_image_is_unchanged() -> None:
    torch.testing.assert_close(augment(images(5), unchanged(5)), images(5))


def test_both_images_of_a_pair_are_augmented_alike() -> None:
    drawn = sample_augmentation(torch.arange(6) % 2, SIDE, STRONG, EVERYTHING, generator())
    real, fake = augment(torch.cat([images(6), images(6)]), drawn).chunk(2)
    assert torch.equal(real, fake)
    assert len({tuple(each) for each in drawn.rows.tolist()}) > 1


def test_the_same_random_state_gives_the_same_parameters() -> None:
    first, second = (
        sample_augmentation(torch.zeros(9, dtype=torch.int64), SIDE, STRONG, EVERYTHING, generator(3)) for _ in range(2)
    )
    assert torch.equal(first.rows, second.rows)
    assert torch.equal(first.contrast, second.contrast)


def test_symmetries_are_used_for_the_types_that_have_them() -> None:
    only_first = torch.tensor([True, False])
    symmetries = Symmetries(horizontal_flip=only_first, vertical_flip=~only_first, transposition=only_first)
    types = torch.arange(400) % 2
    drawn = sample_augmentation(types, SIDE, NONE, symmetries, generator())
    upright = torch.arange(SIDE)
    mirrored, upturned = (~(each == upright).all(1) for each in (drawn.columns, drawn.rows))
    assert 0.2 < mirrored[types == 0].float().mean() < 0.3
    assert not mirrored[types == 1].any()
    assert 0.2 < upturned[types == 1].float().mean() < 0.3
    assert not upturned[types == 0].any()
    assert 0.2 < drawn.transposed[types == 0].float().mean() < 0.3
    assert not drawn.transposed[types == 1].any()


def test_flips_and_rotations_are_exact() -> None:
    picture, still = images(1), unchanged(1)
    backwards = torch.arange(SIDE - 1, -1, -1)[None]
    assert torch.allclose(augment(picture, replace(still, columns=backwards)), picture.flip(3), atol=1e-6)
    assert torch.allclose(augment(picture, replace(still, rows=backwards)), picture.flip(2), atol=1e-6)
    turned = augment(picture, replace(still, rows=backwards, transposed=torch.tensor([True])))
    assert torch.allclose(turned, torch.rot90(picture, 1, (2, 3)), atol=1e-6)


def test_a_shift_moves_by_whole_pixels_and_reflects_at_the_border() -> None:
    drawn = sample_augmentation(
        torch.zeros(300, dtype=torch.int64), SIDE, replace(STRONG, brightness=0, contrast=0), NOTHING, generator()
    )
    shifts = drawn.rows[:, SIDE // 2] - SIDE // 2
    assert set(shifts.tolist()) == {-2, -1, 0, 1, 2}
    down = drawn.rows[shifts == -2][0].tolist()
    assert down == [2, 1, 0, 1, 2, 3, 4, 5]


def test_an_image_that_is_not_shifted_still_moves_by_one_pixel_or_none() -> None:
    drawn = sample_augmentation(
        torch.zeros(300, dtype=torch.int64), SIDE, replace(NONE, shift=0.25), NOTHING, generator()
    )
    for places in (drawn.rows, drawn.columns):
        moved = places[:, SIDE // 2] - SIDE // 2
        assert set(moved.tolist()) == {-1, 0}
        assert 0.4 < (moved == 0).float().mean() < 0.6


def test_brightness_and_contrast() -> None:
    picture = images(1)
    drawn = replace(unchanged(1), brightness=torch.tensor([0.3]), contrast=torch.tensor([0.5]))
    expected = picture.mean() + 0.5 * (picture - picture.mean()) + 0.3
    torch.testing.assert_close(augment(picture, drawn), expected)


def test_second_order_gradients_are_exact() -> None:
    drawn = sample_augmentation(torch.zeros(2, dtype=torch.int64), SIDE, STRONG, EVERYTHING, generator())
    picture = images(2).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: augment(x, drawn).pow(3).sum(), (picture,))


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_the_probability_is_the_share_of_images_that_are_changed(probability: float) -> None:
    strength = replace(STRONG, probability=probability)
    drawn = sample_augmentation(torch.zeros(2000, dtype=torch.int64), SIDE, strength, NOTHING, generator())
    assert (drawn.brightness != 0).float().mean().item() == pytest.approx(probability, abs=0.04)
    assert (drawn.contrast != 1).float().mean().item() == pytest.approx(probability, abs=0.04)


def test_a_mask_behind_an_image_moves_with_it_and_keeps_its_values() -> None:
    picture = images(12)
    picture[:, 2] = (picture[:, 0] > 0).float()  # where the first channel is positive
    drawn = sample_augmentation(torch.arange(12) % 2, SIDE, STRONG, EVERYTHING, generator())
    moved = augment(picture, drawn, photometric=2)
    still = replace(drawn, brightness=torch.zeros(12), contrast=torch.ones(12))
    assert set(moved[:, 2].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(moved[:, 2], augment(picture, still)[:, 2])
    torch.testing.assert_close(moved[:, :2], augment(picture[:, :2], drawn))
