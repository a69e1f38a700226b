"""The segmentation benchmark: nothing leaks into the test, scores are what they are called, runs repeat and go on."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import segmentation
from benchmarks.kept_scores import KeptScores, OutOfTime
from benchmarks.segmentation import ARMS, TYPE, Trial, composed, patches_for
from benchmarks.segmentation_network import PixelScores, UNet, average_precision, probabilities, scores_of, trained
from benchmarks.segmentation_sets import Photograph, SegmentationSet, drawn_plates, magnetic_tiles, tile_groups
from benchmarks.segmentation_table import interval, printed
from PIL import Image

from flawsmith.models.compositions import Patch

SIDE = 128


def spotted(number: int, spot: bool = True) -> Photograph:
    """Gray noise with a dark disc."""
    random = np.random.default_rng(number)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    at = random.integers(30, SIDE - 30, 2)
    mask = (np.hypot(y - at[0], x - at[1]) < 9) & spot
    pixels = np.clip(150 + random.normal(0, 6, mask.shape) - 70 * mask, 0, 255).astype(np.uint8)
    return Photograph(f"{number}", pixels, mask, str(number % 3))


@pytest.fixture(scope="module")
def spots() -> SegmentationSet:
    return SegmentationSet(
        [spotted(each) for each in range(9)],
        [spotted(each, spot=False) for each in range(100, 104)],
        [spotted(each) for each in range(200, 206)],
    )


def test_plates_that_are_tested_on_are_no_others() -> None:
    plates = drawn_plates(6, 2, 6, 2)
    learned = {each.pixels.tobytes() for each in (*plates.defects, *plates.clean)}
    assert len(learned) == 8
    assert not learned & {each.pixels.tobytes() for each in plates.test}
    assert sum(each.mask.any() for each in plates.test) == 6


def test_photographs_of_one_tile_are_on_one_side(tmp_path: Path) -> None:
    """Six lights each of 12 tiles with a blowhole, and of 12 clean ones beside some of them."""
    for folder, tile, light in product(("MT_Blowhole", "MT_Free"), range(12), range(6)):
        place = tmp_path / folder / "Imgs"
        place.mkdir(parents=True, exist_ok=True)
        number = 1000 * tile + 20 * light + (0 if folder == "MT_Blowhole" else 7 if tile % 2 else 500)
        name = f"exp{light + 1}_num_{number}"
        pixels = np.full((120, 110), 100, np.uint8)
        mask = np.zeros_like(pixels)
        mask[50:60, 50:60] = 255 * (folder == "MT_Blowhole")
        Image.fromarray(pixels).save(place / f"{name}.jpg")
        Image.fromarray(mask).save(place / f"{name}.png")
    tiles = magnetic_tiles(tmp_path, 100, 100)
    groups = [{each.group for each in some} for some in ((*tiles.defects, *tiles.clean), tiles.test)]
    assert not groups[0] & groups[1]
    assert all(groups)
    assert sum(each.mask.any() for each in tiles.test) == 30
    assert not any(each.mask.any() for each in tiles.clean)


def test_numbers_up_to_80_apart_are_one_tile() -> None:
    assert tile_groups([300, 100, 180, 261, 700]) == [261, 100, 100, 261, 700]


def test_labelled_ones_take_turns_and_fewer_are_the_first_of_more(spots: SegmentationSet) -> None:
    few, more = spots.labelled(3, 1), spots.labelled(7, 1)
    assert {each.group for each in few} == {"0", "1", "2"}
    assert [each.name for each in few] == [each.name for each in more[:3]]
    assert [each.name for each in more] != [each.name for each in spots.labelled(7, 2)]
    with pytest.raises(ValueError, match="9 photographs with a defect, not 10"):
        spots.labelled(10, 0)


def test_average_precision_is_that_of_the_ranking() -> None:
    random = np.random.default_rng(0)
    levels, marked = random.integers(0, 50, 4000), random.random(4000) < 0.1
    levels[marked] = np.minimum(49, levels[marked] + 10)
    expected = before = 0.0
    for level in range(49, -1, -1):  # pixels of one level are called together
        called = levels >= level
        recall = float((called & marked).sum() / marked.sum())
        expected += (recall - before) * float(marked[called].mean()) if called.any() else 0.0
        before = recall
    counts = [np.bincount(levels[each], minlength=50) for each in (marked, ~marked)]
    assert average_precision(*counts) == pytest.approx(expected)
    assert average_precision(np.array([0, 5]), np.array([9, 0])) == 1.0


def test_network_learns_spots_repeats_and_finds_them_in_any_size(spots: SegmentationSet) -> None:
    networks = [trained(spots.labelled(5, 0), spots.clean, [], augmented=True, seed=3, steps=60) for _ in range(2)]
    assert all(torch.equal(*each) for each in zip(*(each.state_dict().values() for each in networks), strict=True))
    assert scores_of(networks[0], spots.test).average_precision > 0.8
    assert scores_of(UNet().eval(), spots.test).average_precision < 0.5
    odd = spots.test[0].pixels[:101, :115]
    assert probabilities(networks[0], odd).shape == (101, 115)


def test_compositions_hold_labelled_defects_on_clean_photographs(spots: SegmentationSet, tmp_path: Path) -> None:
    trial = Trial("tiles", spots, 3, 0)
    real = spots.labelled(3, 0)
    made = composed(trial, real, patches_for(trial, "pasted", tmp_path, 0))
    assert made
    hosts = [each.pixels for each in spots.clean]
    for each in made:
        assert each.mask.any()
        assert each.group == TYPE
        assert max(float((each.pixels == host)[~each.mask].mean()) for host in hosts) > 0.5


def test_a_generator_without_defects_leaves_the_arm_what_augmentation_gives(
    spots: SegmentationSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentation, "trained_generator", lambda *_: None)
    monkeypatch.setattr(segmentation, "generated_patches", lambda *_: [])
    trial = Trial("tiles", spots, 3, 0)
    assert composed(trial, spots.labelled(3, 0), patches_for(trial, "generated", tmp_path, 16)) == []
    assert patches_for(trial, "generated", tmp_path, 16) == []  # from the file


def test_no_arm_learns_from_the_test(spots: SegmentationSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed to the trainings of generators and segmenters is labelled, clean or made of these."""
    tested_on = {each.pixels.tobytes() for each in spots.test}
    seen: list[Photograph] = []
    generated = [spotted(each) for each in range(300, 303)]

    def crops_of(photographs: list[Photograph], *_: object) -> object:
        seen.extend(photographs)
        return type("Crops", (), {"images": photographs})()

    def generated_patches(*_: object) -> object:
        return [Patch(each.pixels, each.mask, TYPE, each.name) for each in generated]

    def learns(real: list[Photograph], clean: list[Photograph], made: list[Photograph], **_: object) -> UNet:
        seen.extend([*real, *clean, *made])
        return UNet().eval()

    monkeypatch.setattr(segmentation, "crops_of", crops_of)
    monkeypatch.setattr(segmentation, "trained_generator", lambda *_: None)
    monkeypatch.setattr(segmentation, "generated_patches", generated_patches)
    monkeypatch.setattr(segmentation, "trained", learns)
    trial = Trial("tiles", spots, 3, 0)
    kept = KeptScores(PixelScores, tmp_path / "scores.json", None)
    given = type("Given", (), {"out": tmp_path, "shown": 16, "steps": 1})()
    segmentation._score(trial, kept, given)
    assert set(kept.scored) == {f"tiles/3/0/{arm}" for arm in ARMS}
    assert seen
    assert not tested_on & {each.pixels.tobytes() for each in seen}


def test_finished_arms_are_kept_and_nothing_more_is_computed_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    first = KeptScores(PixelScores, file, None).scores("a", lambda: PixelScores(0.5, 0.25))
    again = KeptScores(PixelScores, file, 0.0)
    assert again.scores("a", lambda: PixelScores(0, 0)) == first
    with pytest.raises(OutOfTime):
        again.scores("b", lambda: PixelScores(0, 0))


def test_table_pairs_by_seed_and_leaves_out_what_is_not_finished() -> None:
    values = {"augmented": (0.1, 0.5, 0.3), "pasted": (0.2, 0.6, 0.4), "generated": (0.2, 0.6)}
    scored = {
        f"tiles/5/{seed}/{arm}": {"average_precision": value, "iou": value}
        for arm, of_seeds in values.items()
        for seed, value in enumerate(of_seeds)
    }
    table = printed(scored, ["tiles"], [5], 3, ARMS)
    assert "| tiles | 5 | augmented | 0.300 | 0.300 |  |  |" in table
    assert "| tiles | 5 | pasted | 0.400 | 0.400 | +0.100 (+0.100 to +0.100) |" in table
    assert "generated" not in table
    mean, low, high = interval([0.0, 0.1, 0.2])
    assert (mean, high - mean) == (pytest.approx(0.1), pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4))
    assert low == pytest.approx(2 * mean - high)
