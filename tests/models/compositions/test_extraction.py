"""Patches out of annotated photographs: each defect once, with its surroundings; boxes become masks by contrast."""

import numpy as np
import pytest

from flawsmith.models.compositions import Blend, annotated_patches, box_of, compose, is_cut, mask_in_boxes, patches_of
from flawsmith.models.compositions.parts import Mask, Pixels


def surface(seed: int = 0, shape: tuple[int, ...] = (200, 240), strength: float = 6) -> Pixels:
    """Grain on a slow gradient."""
    light = np.linspace(90, 150, shape[1])
    light = light[:, None] if len(shape) == 3 else light
    noise = np.random.default_rng(seed).normal(0, strength, shape)
    return np.clip(np.rint(light + noise), 0, 255).astype(np.uint8)


def ellipse(shape: tuple[int, ...], x: float, y: float, across: float, down: float) -> Mask:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    marked: Mask = ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1
    return marked


def test_each_defect_becomes_a_patch_of_its_own_pixels() -> None:
    pixels = surface()
    mask = ellipse(pixels.shape, 60, 50, 12, 6) | ellipse(pixels.shape, 180, 140, 5, 20)
    found = patches_of(pixels, mask, "pits", "a.png")
    assert [each.source for each in found] == ["a.png", "a.png#2"]
    assert sum(int(each.mask.sum()) for each in found) == mask.sum()
    for each in found:
        assert each.others is None
        assert not is_cut(each)
        assert each.defect_type == "pits"
    first = found[0]
    assert first.mask.sum() == ellipse(pixels.shape, 60, 50, 12, 6).sum()
    assert first.pixels.tobytes() in {
        pixels[top : top + first.mask.shape[0], left : left + first.mask.shape[1]].tobytes()
        for top in range(60)
        for left in range(60)
    }


def test_near_pieces_are_one_defect_and_far_ones_are_no_surface() -> None:
    pixels = surface()
    pieces = [ellipse(pixels.shape, x, 100, 5, 5) for x in (60, 73, 100)]
    found = patches_of(pixels, np.logical_or.reduce(pieces), "pits", "a.png")
    assert [int(each.mask.sum()) for each in found] == [2 * pieces[0].sum(), pieces[2].sum()]
    assert found[0].others is not None
    assert found[0].others.sum() == pieces[2].sum()


def test_a_neighbour_is_not_taken_along() -> None:
    pixels = np.full((120, 120), 100, np.uint8)
    own, other = ellipse(pixels.shape, 50, 60, 10, 10), ellipse(pixels.shape, 70, 60, 5, 10)
    pixels[own], pixels[other] = 150, 220
    patch = next(each for each in patches_of(pixels, own | other, "pits", "a.png") if each.mask.sum() == own.sum())
    for blend in (Blend.FEATHER, Blend.POISSON):
        made = compose(np.full((100, 100), 100, np.uint8), [patch], 0, per_image=(1, 1), blend=blend)
        outside = made.pixels[~made.mask].astype(int)
        assert np.abs(outside - 100).max() <= 5
        assert made.pixels[made.mask].mean() == pytest.approx(150, abs=5)


def test_a_defect_that_the_border_cuts_is_said() -> None:
    pixels = surface()
    assert is_cut(patches_of(pixels, ellipse(pixels.shape, 3, 50, 12, 6), "pits", "a.png")[0])
    assert is_cut(patches_of(pixels, ellipse(pixels.shape, 60, 199, 12, 6), "pits", "a.png")[0])


def test_masks_of_one_pixel_of_all_pixels_and_of_none() -> None:
    pixels = surface(shape=(80, 90))
    one = np.zeros(pixels.shape, bool)
    one[40, 45] = True
    assert [int(each.mask.sum()) for each in patches_of(pixels, one, "pits", "a.png")] == [1]
    (whole,) = patches_of(pixels, np.ones(pixels.shape, bool), "pits", "a.png")
    assert whole.mask.all()
    assert np.array_equal(whole.pixels, pixels)
    assert patches_of(pixels, np.zeros(pixels.shape, bool), "pits", "a.png") == []
    with pytest.raises(ValueError, match=r"mask of a\.png is 5 x 5 pixels, but the photograph is 90 x 80"):
        patches_of(pixels, np.zeros((5, 5), bool), "pits", "a.png")


@pytest.mark.parametrize("shape", [(200, 240), (200, 240, 3)], ids=["gray", "colour"])
@pytest.mark.parametrize("contrast", [-50, 45])
def test_a_box_becomes_the_mask_of_what_stands_out(shape: tuple[int, ...], contrast: int) -> None:
    defects = [ellipse(shape, 70, 60, 20, 8), ellipse(shape, 170, 130, 6, 25)]
    pixels = surface(1, shape).astype(int)
    for each in defects:
        pixels[each] += contrast
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    found = mask_in_boxes(pixels, [(44, 46, 52, 28), (160, 100, 20, 60)])
    truth = defects[0] | defects[1]
    assert (found & truth).sum() / (found | truth).sum() > 0.85


def test_boxes_over_the_border_and_over_all_and_over_nothing() -> None:
    pixels = surface(2)
    corner = ellipse(pixels.shape, 4, 6, 15, 10)
    pixels[corner] = 230
    found = mask_in_boxes(pixels, [(-10, -8, 40, 30)])
    assert (found & corner).sum() / (found | corner).sum() > 0.85
    over_all = mask_in_boxes(pixels, [(0, 0, 240, 200)])
    assert (over_all & corner).sum() > 0.9 * corner.sum()
    assert not mask_in_boxes(pixels, [(100, 100, 40, 40)]).any()
    assert not mask_in_boxes(pixels, [(500, 500, 10, 10)]).any()
    assert not mask_in_boxes(pixels, []).any()


def test_annotated_defects_keep_their_types_and_know_their_neighbours() -> None:
    pixels = surface(3).astype(int)
    pit, scratch = ellipse(pixels.shape, 60, 60, 12, 6), ellipse(pixels.shape, 90, 60, 4, 20)
    pixels[pit] -= 50
    pixels[scratch] += 60
    photograph = np.clip(pixels, 0, 255).astype(np.uint8)
    x, y, width, height = box_of(pit)
    defects = [
        ("pits", (x, y, width, height), pit[y : y + height, x : x + width]),
        ("scratches", (84, 36, 13, 49), None),
        ("pits", (150, 150, 20, 20), None),  # nothing is there
    ]
    found = annotated_patches(photograph, defects, "a.png")
    assert [(each.defect_type, each.source) for each in found] == [("pits", "a.png"), ("scratches", "a.png#2")]
    assert found[0].mask.sum() == pit.sum()
    assert found[0].others is not None
    assert 0.85 < found[1].mask.sum() / scratch.sum() < 1.15
    assert found[1].others is not None
    assert found[1].others.sum() == pit.sum()
