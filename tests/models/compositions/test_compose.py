"""Compositions: repeatable, with exact masks and boxes, inside the region; refused in words where they cannot be."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from flawsmith.models.compositions import Blend, Patch, Rules, UnplaceableError, box_of, compose
from flawsmith.models.compositions.parts import Mask, Pixels
from flawsmith.models.compositions.stamp import COLLARS, WIDEST

SIDE = 160


def flat(level: int, side: int = SIDE, channels: int = 0) -> Pixels:
    return np.full((side, side, channels) if channels else (side, side), level, np.uint8)


def grainy(seed: int, level: float = 120, strength: float = 8, side: int = SIDE) -> Pixels:
    noise = np.random.default_rng(seed).normal(level, strength, (side, side))
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


def disc(side: int, radius: float) -> Mask:
    at = np.arange(side) - (side - 1) / 2
    marked: Mask = np.hypot(at[:, None], at) <= radius
    return marked


def bar(side: int, length: int, width: int) -> Mask:
    mask = np.zeros((side, side), bool)
    mask[(side - length) // 2 : (side + length) // 2, (side - width) // 2 : (side + width) // 2] = True
    return mask


def patch(mask: Mask, change: int = 60, level: int = 120, defect_type: str = "pits", source: str = "a.png") -> Patch:
    pixels = np.full(mask.shape, level, np.uint8)
    pixels[mask] = level + change
    return Patch(pixels, mask, defect_type, source)


BROAD, THIN, DOT = disc(81, 14), bar(81, 40, 3), disc(61, 0.5)


def test_the_same_seed_makes_the_same_bytes_in_any_process() -> None:
    code = (
        "import sys, numpy as np; from tests.models.compositions.test_compose import *\n"
        "made = compose(grainy(1), [patch(BROAD), patch(THIN)], 5, rules=Rules((-40, 40), (0.8, 1.2)))\n"
        "sys.stdout.buffer.write(made.pixels.tobytes() + b''.join(each.mask.tobytes() for each in made.placed))"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)
    )
    assert first == second
    others = {
        compose(grainy(1), [patch(BROAD), patch(THIN)], seed, per_image=(2, 2)).pixels.tobytes() for seed in range(5)
    }
    assert len(others) == 5


@pytest.mark.parametrize("mask", [BROAD, THIN, DOT], ids=["broad", "thin", "one pixel"])
@pytest.mark.parametrize("blend", [Blend.AUTO, Blend.FEATHER, Blend.POISSON])
def test_on_plain_surfaces_the_mask_is_exactly_what_changed(mask: Mask, blend: Blend) -> None:
    host = flat(120)
    for seed in range(5):
        made = compose(host, [patch(mask)], seed, per_image=(1, 1), blend=blend)
        assert np.array_equal(made.placed[0].mask, made.pixels != host)
        assert np.array_equal(made.mask, made.placed[0].mask)
        assert made.placed[0].mask.sum() == mask.sum()
        assert made.placed[0].box == box_of(made.pixels != host)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24))).filter(lambda mask: bool(mask.any())),
    st.integers(0, 20),
    st.sampled_from([Blend.AUTO, Blend.FEATHER, Blend.POISSON]),
    st.integers(0, 2**32),
)
def test_any_mask_is_placed_with_its_box(mask: Mask, margin: int, blend: Blend, seed: int) -> None:
    marked = np.pad(mask, margin)
    rules = Rules(rotation=(-180, 180), scale=(0.5, 2), mirror_horizontally=True, mirror_vertically=True)
    made = compose(flat(120), [patch(marked)], seed, per_image=(1, 1), blend=blend, rules=rules)
    (placed,) = made.placed
    assert placed.box == box_of(placed.mask)
    assert placed.marked.any()
    changed = made.pixels != 120
    assert not (changed & (distance_transform_edt(~placed.mask) > WIDEST + 8)).any()


def test_beyond_the_collar_no_pixel_changes() -> None:
    host = grainy(2)
    source = Patch(np.where(BROAD, 200, grainy(3, side=81)).astype(np.uint8), BROAD, "pits", "a.png")
    made = compose(host, [source], 1, per_image=(1, 1))
    x, y, width, height = made.placed[0].box
    changed = np.argwhere(made.pixels != host)
    reach = COLLARS[Blend.POISSON]
    assert (changed >= (y - reach, x - reach)).all()
    assert (changed < (y + height + reach, x + width + reach)).all()


def test_tone_is_the_hosts_and_no_step_surrounds_a_defect() -> None:
    """A patch from a light surface on a dark host: the collar has the host's level, and the defect stays darker."""
    for mask in (BROAD, THIN):
        source = patch(mask, change=-80, level=200)
        made = compose(flat(60), [source], 0, per_image=(1, 1))
        marked = made.placed[0].mask
        assert (made.pixels[~marked] == 60).all()
        assert (made.pixels[marked] < 50).all()


@pytest.mark.parametrize(("host_strength", "patch_strength"), [(12, 3), (3, 12)])
def test_grain_around_and_in_a_defect_is_the_hosts(host_strength: float, patch_strength: float) -> None:
    mask = disc(121, 25)
    source = Patch(
        np.clip(grainy(4, strength=patch_strength, side=121) + 50.0 * mask, 0, 255).astype(np.uint8),
        mask,
        "pits",
        "a.png",
    )
    host = grainy(5, strength=host_strength)
    made = compose(host, [source], 3, per_image=(1, 1))
    marked = made.placed[0].mask
    values = made.pixels.astype(float)
    steps = np.abs(np.diff(values, axis=1))
    inside = steps[marked[:, 1:] & marked[:, :-1]].mean()
    outside = np.abs(np.diff(host.astype(float), axis=1)).mean()
    assert 0.8 < inside / outside < 1.3
    assert 25 < values[marked].mean() - values[~marked].mean() < 75


@pytest.mark.parametrize("smoothness", [0.6, 0.8, 1.0])
def test_a_defect_that_is_smoother_than_its_surface_is_so_on_another(smoothness: float) -> None:
    mask = disc(121, 20)
    pixels = grainy(3, side=121).astype(float)
    pixels[mask] = 80 + smoothness * (pixels[mask] - 120)
    smooth = Patch(np.rint(pixels).astype(np.uint8), mask, "pits", "a.png")
    made = compose(grainy(4), [smooth], 5, per_image=(1, 1))
    middle = distance_transform_edt(made.mask) > 5
    inside, around = (float(made.pixels[where].std()) for where in (middle, ~made.mask))
    assert inside / around == pytest.approx(smoothness, abs=0.15)


def test_defects_lie_in_the_region_apart_from_one_another() -> None:
    region = np.zeros((SIDE, SIDE), bool)
    region[:, 60:] = disc(SIDE, 70)[:, 60:]
    for seed in range(6):
        made = compose(flat(120), [patch(DOT), patch(THIN)], seed, per_image=(4, 6), region=region)
        assert 4 <= len(made.placed) <= 6
        total = sum(each.mask.astype(int) for each in made.placed)
        assert total.max() == 1
        assert not (made.mask & ~region).any()
        assert (made.pixels[~region] == 120).all()


def test_defects_lie_wholly_within_the_photograph_and_everywhere_in_it() -> None:
    corners = []
    for seed in range(60):
        made = compose(flat(120, 100), [patch(BROAD)], seed, per_image=(1, 1))
        assert made.placed[0].mask.sum() == BROAD.sum()
        corners.append(made.placed[0].box[:2])
    spread = np.array(corners)
    reach = COLLARS[Blend.POISSON]
    assert (spread.min(0) >= reach).all()
    assert (spread.min(0) < 20).all()
    assert (spread.max(0) + 29 <= 100 - reach).all()
    assert (spread.max(0) + 29 > 80).all()


def test_the_only_place_is_found() -> None:
    region = np.zeros((400, 400), bool)
    region[311:358, 205:252] = True  # 47 pixels: the disc of 29 and its collar of 8 or 9 fit at few places
    made = compose(flat(120, 400), [patch(BROAD)], 0, per_image=(1, 1), region=region)
    assert not (made.mask & ~region).any()


@pytest.mark.parametrize("host_channels", [0, 3])
@pytest.mark.parametrize("patch_channels", [0, 3])
def test_gray_and_colour_mix(host_channels: int, patch_channels: int) -> None:
    host = flat(120, channels=host_channels)
    if host_channels:
        host[:] = (160, 90, 40)
    gray = patch(BROAD, change=-70)
    source = gray if not patch_channels else Patch(np.stack([gray.pixels] * 3, 2), BROAD, "pits", "a.png")
    made = compose(host, [source], 0, per_image=(1, 1))
    assert made.pixels.shape == host.shape
    marked = made.placed[0].mask
    assert (made.pixels[~marked] == host[~marked]).all()
    assert (made.pixels[marked].mean(0) < 0.7 * host[marked].mean(0)).all()
    if host_channels:  # a shadow on the host's colour keeps its hue
        red, green, blue = made.pixels[marked].mean(0)
        assert red > green > blue


def test_a_patch_that_is_all_defect_is_placed_as_it_is() -> None:
    whole = Patch(np.full((30, 40), 220, np.uint8), np.ones((30, 40), bool), "pits", "a.png")
    made = compose(grainy(1), [whole], 0, per_image=(1, 1))
    marked = made.placed[0].mask
    x, y, width, height = made.placed[0].box
    assert 24 <= height <= 30
    assert 34 <= width <= 40
    middle = made.pixels[y + 8 : y + height - 8, x + 8 : x + width - 8]
    assert (middle == 220).all()
    assert marked[y + 8 : y + height - 8, x + 8 : x + width - 8].all()


def test_a_defect_at_its_patchs_border_fades_there() -> None:
    mask = np.zeros((60, 60), bool)
    mask[:40, 28:32] = True
    made = compose(flat(120), [patch(mask)], 0, per_image=(1, 1))
    x, y, _, height = made.placed[0].box
    column = made.pixels[y - 6 : y + height, x + 1].astype(int)
    assert height < 40
    assert (np.diff(column) <= 25).all()


def test_a_whole_defect_near_its_patchs_border_stays_whole() -> None:
    for beside in (1, 2, 4):
        mask = np.zeros((60, 60), bool)
        mask[beside:40, 28:32] = True
        made = compose(flat(120), [patch(mask)], 0, per_image=(1, 1))
        assert made.placed[0].mask.sum() == mask.sum()
        assert np.array_equal(made.mask, made.pixels != 120)


def test_rules_turn_scale_and_mirror() -> None:
    lying = []
    for seed in range(20):
        made = compose(flat(120), [patch(THIN)], seed, per_image=(1, 1), rules=Rules(rotation=(90, 90)))
        lying.append(made.placed[0].box[2:])
    assert set(lying) == {(40, 3)}
    areas = [
        compose(flat(120), [patch(BROAD)], seed, per_image=(1, 1), rules=Rules(scale=(0.5, 1.5))).placed[0]
        for seed in range(20)
    ]
    for each in areas:
        assert each.mask.sum() == pytest.approx(BROAD.sum() * each.change.scale**2, rel=0.1)
    assert min(each.change.scale for each in areas) < 0.7
    assert max(each.change.scale for each in areas) > 1.2
    mirrored = Counter(
        compose(flat(120), [patch(THIN)], seed, per_image=(1, 1), rules={"pits": Rules(mirror_vertically=True)})
        .placed[0]
        .change.mirrored_vertically
        for seed in range(20)
    )
    assert set(mirrored) == {True, False}
    unchanged = compose(flat(120), [patch(THIN)], 0, rules={"dents": Rules(rotation=(10, 20))}, per_image=(1, 1))
    assert unchanged.placed[0].change.rotation == 0


def test_turning_by_an_angle_turns_the_picture_with_the_mask() -> None:
    for angle in (30, -75, 141):
        made = compose(flat(120), [patch(THIN)], 0, per_image=(1, 1), rules=Rules(rotation=(angle, angle)))
        marked = made.placed[0].mask
        bright = made.pixels > 150
        assert (marked & bright).sum() / (marked | bright).sum() > 0.8
        rows, columns = np.nonzero(marked)
        direction = np.rad2deg(np.arctan2(-np.polyfit(columns, rows, 1)[0], 1)) if abs(angle + 90) % 180 != 0 else 90
        assert (direction - (90 + angle) + 90) % 180 - 90 == pytest.approx(0, abs=8)


def test_types_take_turns_and_parts_say_where_they_came_from() -> None:
    patches = [patch(DOT, source="first.png"), patch(THIN, defect_type="scratches", source="model@1/7")]
    sources: Counter[str] = Counter()
    for seed in range(10):
        made = compose(flat(120), patches, seed, per_image=(2, 2))
        assert {each.defect_type for each in made.placed} == {"pits", "scratches"}
        sources.update(each.source for each in made.placed)
    assert sources == {"first.png": 10, "model@1/7": 10}


def test_no_defects_leave_the_photograph_as_it_is() -> None:
    host = grainy(1)
    made = compose(host, [], 0, per_image=(0, 0))
    assert np.array_equal(made.pixels, host)
    assert not made.mask.any()


def test_what_cannot_be_placed_is_refused_in_words() -> None:
    with pytest.raises(UnplaceableError, match=r"smallest is 29 x 29 pixels .* host photograph is 32 x 32"):
        compose(flat(120, 32), [patch(BROAD)], 0)
    with pytest.raises(UnplaceableError, match="0% are the allowed region"):
        compose(flat(120), [patch(DOT)], 0, region=np.zeros((SIDE, SIDE), bool))
    with pytest.raises(UnplaceableError, match=r"of at least 90 defects fit"):
        compose(flat(120), [patch(BROAD)], 0, per_image=(90, 90))


def test_a_defect_that_nobody_would_see_is_not_placed() -> None:
    faint = patch(THIN, change=8)
    with pytest.raises(UnplaceableError, match=r"\d+ had room, but would not stand out of the host's grain"):
        compose(grainy(1, strength=30), [faint], 0)
    assert compose(flat(120), [faint], 0).placed


def test_a_defect_may_be_as_faint_as_it_was() -> None:
    mask = disc(121, 10)
    pixels = np.clip(grainy(4, strength=20, side=121) + 20.0 * mask, 0, 255).astype(np.uint8)
    assert compose(grainy(1, strength=20), [Patch(pixels, mask, "pits", "a.png")], 0, per_image=(1, 1)).placed


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"per_image must be \[low, high\]"):
        compose(flat(120), [patch(DOT)], 0, per_image=(3, 1))
    with pytest.raises(ValueError, match="no patches"):
        compose(flat(120), [], 0)
    with pytest.raises(ValueError, match="region is 10 x 10 pixels"):
        compose(flat(120), [patch(DOT)], 0, region=np.ones((10, 10), bool))
    with pytest.raises(ValueError, match=r"mask of b\.png is empty"):
        Patch(flat(120), np.zeros((SIDE, SIDE), bool), "pits", "b.png")
    with pytest.raises(ValueError, match=r"mask of b\.png is 81 x 81"):
        Patch(flat(120), BROAD, "pits", "b.png")
    with pytest.raises(ValueError, match="8 bits"):
        compose(np.zeros((20, 20), np.float32), [patch(DOT)], 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"scale must be \[low, high\] within 0.25 … 4"):
        Rules(scale=(0, 1))
