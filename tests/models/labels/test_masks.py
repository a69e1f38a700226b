"""Masks: never empty, without specks, and compared with the real ones."""

import numpy as np
import pytest

from flawsmith.models.labels.masks import (
    Mask,
    boxes_of,
    figures,
    is_plausible,
    mask_of,
    overlap,
    parts_of,
    plausible_ranges,
)


def drawn(*boxes: tuple[int, int, int, int], side: int = 20) -> Mask:
    """A mask of rectangles, each left, top, right, bottom."""
    mask = np.zeros((side, side), bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


REAL = [drawn((2, 3, 12, 5)), drawn((4, 1, 12, 4)), drawn((1, 1, 11, 3), (3, 10, 13, 12))]
RANGES = plausible_ranges(REAL)


def test_figures_of_a_known_mask() -> None:
    assert figures(drawn((2, 3, 12, 5), (15, 15, 16, 16))) == pytest.approx(
        {"area": 21 / 400, "parts": 2, "part_area": 1 / 400, "length": 0.5, "thickness": 0.1}
    )


def test_real_masks_are_plausible_and_others_are_not() -> None:
    assert all(is_plausible(each, RANGES) for each in REAL)
    assert not is_plausible(drawn(), RANGES)
    assert not is_plausible(drawn((0, 0, 20, 20)), RANGES)  # everything
    assert not is_plausible(drawn((5, 5, 6, 6)), RANGES)  # a speck
    assert not is_plausible(drawn(*((x, y, x + 2, y + 1) for x in (0, 4, 8) for y in (0, 4, 8, 12))), RANGES)  # crumbs


def test_a_mask_is_what_is_sure_without_specks() -> None:
    sure = drawn((2, 3, 12, 5))
    probabilities = np.where(sure | drawn((18, 18, 19, 19)), 0.9, 0.1).astype(np.float32)
    mask, plausible = mask_of(probabilities, RANGES)
    assert plausible
    assert (mask == sure).all()


def test_a_mask_is_never_empty() -> None:
    probabilities = np.random.default_rng(0).uniform(0, 0.4, (20, 20)).astype(np.float32)
    mask, plausible = mask_of(probabilities, RANGES)
    assert not plausible
    assert mask.sum() == round(RANGES["area"][0] * 400) > 0
    assert probabilities[mask].min() >= probabilities[~mask].max()


def test_boxes_and_parts_of_a_mask() -> None:
    mask = drawn((2, 3, 12, 5), (12, 5, 14, 9), (0, 15, 4, 19))  # the first two touch at a corner
    assert boxes_of(mask) == [(2, 3, 14, 9), (0, 15, 4, 19)]
    first, second = parts_of(mask)
    assert ((first | second) == mask).all()
    assert boxes_of(second) == [(0, 15, 4, 19)]


def test_overlap() -> None:
    assert overlap(drawn((0, 0, 4, 4)), drawn((2, 0, 6, 4))) == pytest.approx(1 / 3)
    assert overlap(drawn(), drawn()) == 1
