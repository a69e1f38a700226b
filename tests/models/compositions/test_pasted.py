"""Squares with pasted defects: exact masks, keys that decide everything, and defects larger than the square."""

from collections.abc import Sequence

import numpy as np
import pytest

from flawsmith.models.compositions import Patch, UnplaceableError, patches_of
from flawsmith.models.compositions.parts import Mask
from flawsmith.models.compositions.pasted import APART, PasteMaterial, pasted

SIDE, DARK = 48, 70


def surface(seed: int, height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).normal(150, 3, (height, width)).clip(0, 255).astype(np.uint8)


def patch(mask: Mask, seed: int = 0, dark: int = DARK) -> Patch:
    pixels = surface(seed, *mask.shape)
    pixels[mask] -= dark
    [found] = patches_of(pixels, mask, "pits", str(seed))
    return found


def disc(radius: float, side: int = 80) -> Mask:
    rows, columns = np.mgrid[:side, :side] - side / 2
    found: Mask = np.hypot(rows, columns) < radius
    return found


def bar(length: int) -> Mask:
    mask = np.zeros((length + 20, 60), bool)
    mask[10:-10, 28:32] = True
    return mask


def material(patches: Sequence[Patch], hosts: int = 3) -> PasteMaterial:
    squares = np.stack([surface(100 + each, SIDE, SIDE) for each in range(hosts)])[..., None]
    return PasteMaterial(squares, {"pits": range(hosts)}, {"pits": patches})


SMALL = material([patch(disc(radius), number) for number, radius in enumerate((3.5, 4.5, 5.5))])


def test_a_key_is_a_picture_whatever_was_made_before() -> None:
    first = [pasted(SMALL, "pits", f"pits {each}", (1, 2)) for each in range(8)]
    again = [pasted(SMALL, "pits", f"pits {each}", (1, 2)) for each in reversed(range(8))][::-1]
    for one, other in zip(first, again, strict=True):
        assert (one.pixels == other.pixels).all()
        assert (np.array(one.masks) == np.array(other.masks)).all()
    assert len({each.pixels.tobytes() for each in first}) == 8


def test_masks_mark_what_was_pasted_and_nothing_else() -> None:
    for number in range(12):
        made = pasted(SMALL, "pits", str(number), (1, 1))
        [mask] = made.masks
        assert made.pixels.shape == (SIDE, SIDE, 1)
        assert ((made.pixels[..., 0] < 115) == mask).mean() > 0.99


def test_several_defects_lie_apart() -> None:
    counts = []
    for number in range(10):
        masks = pasted(SMALL, "pits", str(number), (2, 3)).masks
        counts.append(len(masks))
        for first, second in ((a, b) for a in masks for b in masks if a is not b):
            gaps = np.argwhere(first)[:, None] - np.argwhere(second)[None]
            assert np.hypot(*np.moveaxis(gaps, 2, 0)).min() > APART / 2
    assert max(counts) > 1


def test_a_defect_longer_than_the_square_reaches_over_its_border() -> None:
    long = material([patch(bar(120), each) for each in range(2)])
    for number in range(8):
        [mask] = pasted(long, "pits", str(number), (1, 1)).masks
        assert mask[[0, -1]].any(), "it is cut off by a border"
        assert mask.any(1).sum() >= SIDE / 4, "and shows a good part"


def test_a_defect_on_colour_leaves_the_surface_as_it_is() -> None:
    squares = np.stack([np.stack([surface(each + of, SIDE, SIDE) for of in (5, 50, 500)], 2) for each in range(2)])
    coloured = PasteMaterial(squares, {"pits": [0, 1]}, SMALL.patches)
    made = pasted(coloured, "pits", "0", (1, 1))
    unchanged = [(made.pixels == each).all(2).mean() for each in squares]
    assert max(unchanged) > 0.6


def test_what_would_not_be_seen_is_refused_with_a_reason() -> None:
    faint = material([patch(disc(4), 0, dark=1)])
    with pytest.raises(UnplaceableError, match="a defect of 'pits' found a place at which it would be seen"):
        pasted(faint, "pits", "0", (1, 1))
