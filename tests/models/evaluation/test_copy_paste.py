"""Pasted pictures consist of two photographs."""

import torch

from flawsmith.models.evaluation.copy_paste import pasted


def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_without_masks_a_rectangle_of_one_photograph_lies_on_another() -> None:
    images = torch.tensor([10, 200], dtype=torch.uint8)[:, None, None, None].expand(2, 1, 32, 32)
    made = pasted(images, [None, None], 30, random(), None)
    assert made.shape == (30, 1, 32, 32)
    assert set(made.unique().tolist()) == {10, 200}
    mixed = [each for each in made if len(each.unique()) == 2]
    assert len(mixed) > 5
    for each in mixed:
        part = each[0] == min(each.unique().tolist(), key=lambda value: int((each == value).sum()))
        rows, columns = part.any(1).sum(), part.any(0).sum()
        assert part.sum() == rows * columns
        assert all(4 <= side <= 16 for side in (rows, columns))


def test_marked_pixels_are_pasted_on_clean_photographs() -> None:
    images = torch.full((1, 1, 32, 32), 200, dtype=torch.uint8)
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[3:6, 10] = True
    mask[5, 10:14] = True  # an L of 6 pixels
    clean = torch.full((2, 1, 32, 32), 90, dtype=torch.uint8)
    made = pasted(images, [mask], 10, random(), clean)
    assert [int((each == 200).sum()) for each in made] == [6] * 10
    assert [int((each == 90).sum()) for each in made] == [32 * 32 - 6] * 10
    assert len({each.numpy().tobytes() for each in made}) > 5  # at different places


def test_the_first_of_many_are_those_of_few() -> None:
    images = torch.randint(0, 256, (4, 1, 32, 32), generator=random(), dtype=torch.uint8)
    assert torch.equal(pasted(images, [None] * 4, 9, random(), None)[:3], pasted(images, [None] * 4, 3, random(), None))
