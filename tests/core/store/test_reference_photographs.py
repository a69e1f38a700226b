"""How near images are to a version's photographs: the same figures everywhere, whichever way copies were turned."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from flawsmith.core.store.reference_photographs import (
    FILE,
    ReferenceCache,
    ReferencePhotographs,
    delete_references,
    small_picture,
    turned,
)

Pixels = NDArray[np.uint8]
TYPES = ["pits", "scratches"]


def textures(count: int, side: int = 64, channels: int = 1, seed: int = 0) -> Pixels:
    """(count, side, side, channels): smoothed noise, each image of its own contrast."""
    noise = torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed))
    smooth = F.avg_pool2d(noise, 9, 1, 4, count_include_pad=False)
    spread = torch.linspace(200, 900, count)[:, None, None, None]
    return (128 + spread * (smooth - 0.5)).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def references(photographs: Pixels) -> ReferencePhotographs:
    types = np.arange(len(photographs)) % 2
    return ReferencePhotographs.of(photographs, types, TYPES, [f"{number}.png" for number in range(len(photographs))])


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: image[:, ::-1],
        lambda image: np.rot90(image),
        lambda image: np.rot90(image[::-1], 3),
    ],
    ids=["as it is", "flipped", "turned", "transposed"],
)
@pytest.mark.parametrize(("side", "channels"), [(32, 1), (64, 3), (128, 1)])
def test_a_copy_in_any_of_its_symmetries_is_identical_to_its_photograph(
    side: int, channels: int, change: object
) -> None:
    photographs = textures(12, side, channels)
    [found] = references(photographs).nearest([change(photographs[5])], ["pits"])  # type: ignore[operator]
    assert (found.file, found.distance, found.percentile, found.similarity) == ("5.png", 0.0, 0.0, 1.0)


def test_a_brighter_copy_is_nearly_identical_and_noise_is_not() -> None:
    photographs = textures(12)
    brighter = (photographs[3] * 0.7 + 60).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    copy, other = references(photographs).nearest([brighter, noise], ["pits", "pits"])
    assert copy.file == "3.png"
    assert copy.similarity > 0.95
    assert other.similarity < 0.5
    assert other.percentile == 100


@pytest.mark.parametrize(("side", "channels"), [(64, 1), (64, 3), (128, 1), (32, 1)])
def test_distances_are_the_least_over_photographs_symmetries_and_shifts(side: int, channels: int) -> None:
    """As all comparisons, one by one, find them."""
    photographs, images = textures(40, side, channels), textures(6, side, channels, seed=1)
    found = references(photographs).nearest(list(images), ["pits"] * 6)
    expected = [min(slow_distance(image, each) for each in photographs) for image in images]
    for each, least in zip(found, expected, strict=True):
        assert least - 0.003 < each.distance < 1.03 * least  # of what is near to nothing, the nearest may be missed


def slow_distance(image: Pixels, photograph: Pixels) -> float:
    """Of normalised pictures; the image may be turned, and moved by up to two pixels."""
    one, other = (
        F.adaptive_avg_pool2d(torch.from_numpy(each).permute(2, 0, 1).float(), min(len(each), 64)).numpy()
        for each in (image, photograph)
    )
    side = one.shape[1]
    middle = unit(other[:, 2 : side - 2, 2 : side - 2])
    found = []
    for quarters, flip in itertools.product(range(4), (1, -1)):
        moved = np.rot90(one, quarters, (1, 2))[:, :, ::flip]
        for down, across in itertools.product(range(5), range(5)):
            part = unit(moved[:, down : down + side - 4, across : across + side - 4])
            found.append(float(np.linalg.norm(part - middle)))
    return min(found)


def unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = values - values.mean()
    return np.asarray(centred / np.linalg.norm(centred), np.float32)


@pytest.mark.parametrize("shift", [(1, 0), (0, -1), (1, 1), (-2, 2)])
@pytest.mark.parametrize("turn", [lambda image: image, np.rot90], ids=["as it is", "turned"])
def test_a_copy_that_is_shifted_a_little_is_still_identical(shift: tuple[int, int], turn: object) -> None:
    photographs = textures(300)
    shifted = np.roll(turn(photographs[7]), shift, (0, 1))  # type: ignore[operator]
    [copy] = references(photographs).nearest([shifted], ["scratches"])
    assert (copy.file, copy.similarity) == ("7.png", 1.0)
    [far] = references(photographs).nearest([np.roll(photographs[7], (9, 0), (0, 1))], ["scratches"])
    assert far.similarity < 0.7


def test_the_symmetry_turns_the_photograph_so_that_it_looks_like_the_image() -> None:
    photographs = textures(12)
    found = references(photographs)
    for symmetry in range(8):
        [image] = turned(photographs[3:4], symmetry)
        matches = found.matches([image])
        assert (matches.which.tolist(), matches.symmetry.tolist()) == ([3], [symmetry])
        assert matches.distance[0] < 1e-4 < matches.second[0]


def test_the_median_distance_between_photographs_of_a_type_is_a_similarity_of_a_half() -> None:
    photographs = textures(41)
    found = references(photographs)
    of_pits = photographs[::2]
    medians = []
    for number, photograph in enumerate(of_pits):
        others = [each for each in range(41) if each != 2 * number]
        [nearest] = references(photographs[others]).nearest([photograph], ["pits"])
        medians.append(nearest.distance)
    assert np.allclose(np.sort(medians), found.own_distances["pits"], atol=1e-4)
    median = float(np.median(medians))
    images = textures(30, seed=2)
    for each in found.nearest(list(images), ["pits"] * 30):
        assert each.similarity == pytest.approx(2 ** -(each.distance / median), abs=1e-3)
        assert (each.similarity < 0.5) == (each.percentile > 50)


def test_an_image_has_the_same_figures_alone_and_among_others_and_after_a_save(tmp_path: Path) -> None:
    photographs, images = textures(300), list(textures(50, seed=3))
    found = references(photographs)
    together = found.nearest(images, ["scratches"] * 50)
    assert [found.nearest([each], ["scratches"])[0] for each in images] == together
    found.save(tmp_path / FILE)
    assert ReferencePhotographs.load(tmp_path / FILE).nearest(images, ["scratches"] * 50) == together


@pytest.mark.parametrize("channels", [1, 3])
def test_products_are_exact_in_float32_whatever_an_image_shows(channels: int) -> None:
    """Else the order of a sum, which differs among machines and batches, would decide the last digit."""
    spot = np.zeros((64, 64, channels), np.uint8)
    spot[3, 5, 0] = 255
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(channels, 2)
    extreme = [spot, 255 - spot, checks, *textures(5, channels=channels), *textures(5, channels=channels, seed=4)]
    squares = [int((small_picture(each).astype(np.int64) ** 2).sum()) for each in extreme]
    assert max(squares) < 2**24  # by Cauchy and Schwarz, so is every product of two, and every part of its sum
    assert min(squares) > 0.9 * 4000**2


def test_photographs_without_content_are_compared_without_a_warning() -> None:
    photographs = np.stack([np.full((32, 32, 1), 7, np.uint8), textures(1, 32)[0]])
    plain, other = references(photographs).nearest([photographs[0], photographs[1]], ["pits", "scratches"])
    assert (other.file, other.distance) == ("1.png", 0.0)
    assert plain.distance > 0.5  # a plain picture has no direction to be near in


def test_a_single_photograph_still_recognises_its_copy() -> None:
    photographs = textures(1)
    alone = ReferencePhotographs.of(photographs, np.zeros(1, np.int64), ["pits"], ["only.png"])
    copy, other = alone.nearest([photographs[0], textures(1, seed=5)[0]], ["pits", "pits"])
    assert copy.similarity == 1.0
    assert other.similarity < 0.8


def test_references_that_were_deleted_are_gone_at_once(tmp_path: Path) -> None:
    cache = ReferenceCache()
    assert cache.load(tmp_path) is None
    references(textures(4)).save(tmp_path / FILE)
    kept = cache.load(tmp_path)
    assert kept is not None
    assert cache.load(tmp_path) is kept
    assert delete_references(tmp_path)
    assert cache.load(tmp_path) is None
    assert not delete_references(tmp_path)
