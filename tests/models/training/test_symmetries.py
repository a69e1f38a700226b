"""Which flips are symmetries of the photographs."""

import torch
from torch import Tensor

from flawsmith.models.training.symmetries import FEWEST, NOT_TESTED, SYMMETRIES, symmetry_p_values, usable_symmetries

NAMES = list(SYMMETRIES)


def grain(count: int) -> Tensor:
    """Photographs without a direction."""
    random = torch.Generator().manual_seed(0)
    return torch.nn.functional.avg_pool2d(torch.rand(count, 1, 66, 66, generator=random), 3, 2).mul(255).byte()


def lit_from_the_left(count: int) -> Tensor:
    light = torch.linspace(60, -60, 32).expand(32, 32)
    return (grain(count) + light).clamp(0, 255).byte()


def rolled(count: int) -> Tensor:
    """With dark lines from top to bottom, anywhere."""
    images = grain(count)
    places = torch.randint(2, 30, (count,), generator=torch.Generator().manual_seed(1)).tolist()
    for image, place in zip(images, places, strict=True):
        image[:, :, place : place + 2] //= 3
    return images


def used(images: Tensor) -> dict[str, bool]:
    return dict(zip(NAMES, usable_symmetries(symmetry_p_values(images)).tolist(), strict=True))


def test_grain_without_a_direction_has_every_symmetry() -> None:
    assert used(grain(100)) == dict.fromkeys(NAMES, True)


def test_light_from_one_side_breaks_the_symmetries_that_would_move_it() -> None:
    assert used(lit_from_the_left(100)) == {"horizontal_flip": False, "vertical_flip": True, "transposition": False}


def test_lines_along_one_axis_have_both_flips_but_no_transposition() -> None:
    assert used(rolled(100)) == {"horizontal_flip": True, "vertical_flip": True, "transposition": False}


def test_too_few_photographs_to_test_use_the_horizontal_flip_only() -> None:
    found = symmetry_p_values(grain(FEWEST["horizontal_flip"] - 1))
    assert (found == NOT_TESTED).all()
    assert usable_symmetries(found).tolist() == [name == "horizontal_flip" for name in NAMES]


def test_transposition_needs_more_photographs_than_the_flips() -> None:
    assert used(grain(FEWEST["transposition"] - 1)) == dict.fromkeys(NAMES, True) | {"transposition": False}


def test_the_same_photographs_give_the_same_p_values() -> None:
    images = rolled(50)
    assert torch.equal(symmetry_p_values(images), symmetry_p_values(images))
