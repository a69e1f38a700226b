"""Directions: measured, turned with an augmentation, drawn from those of photographs."""

import math
from collections.abc import Callable

import pytest
import torch
from tests.models.pictures import noise
from torch import Tensor

from flawsmith.models.presets.fewshot.directions import (
    ENTRIES,
    augmented_directions,
    direction_features,
    direction_vectors,
    draw_directions,
    entries_of,
    rotated_directions,
)
from flawsmith.models.training.augmentation import (
    AugmentationParameters,
    Strength,
    Symmetries,
    augment,
    sample_augmentation,
)

SIDE = 64


def line(degrees: float) -> Tensor:
    """A bright line, counter-clockwise from level: (1, 1, SIDE, SIDE) uint8."""
    rows, columns = torch.meshgrid(torch.arange(SIDE) - SIDE / 2, torch.arange(SIDE) - SIDE / 2, indexing="ij")
    away = columns * math.sin(math.radians(degrees)) + rows * math.cos(math.radians(degrees))
    return (60 + 120 * torch.exp(-((away / 2) ** 2))).byte()[None, None]


def vectors(*degrees: float, strength: float = 0.8) -> Tensor:
    doubled = torch.deg2rad(2 * torch.tensor(degrees))
    return strength * torch.stack([doubled.cos(), doubled.sin()], 1)


def angles(directions: Tensor) -> Tensor:
    return torch.atan2(directions[:, 1], directions[:, 0]).rad2deg() / 2 % 180


@pytest.mark.parametrize("degrees", [0, 20, 60, 90, 140])
def test_a_clear_line_is_measured_as_strong_and_at_its_angle(degrees: float) -> None:
    measured = direction_vectors(line(degrees))
    torch.testing.assert_close(measured, vectors(degrees, strength=1.0), atol=0.1, rtol=0)


def test_noise_has_a_weak_direction_and_a_flat_picture_none() -> None:
    assert direction_vectors(noise(50)).norm(dim=1).max() < 0.3
    assert direction_vectors(torch.full((1, 1, 32, 32), 7, dtype=torch.uint8)).tolist() == [[0, 0]]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_measured_the_same_whatever_is_measured_with_it(channels: int) -> None:
    pictures = torch.cat([torch.cat([line(each + band) for band in range(channels)], 1) for each in range(0, 180, 6)])
    in_one_batch = direction_vectors(pictures)
    assert torch.equal(in_one_batch, torch.cat([direction_vectors(each) for each in pictures.split(1)]))


def test_features_repeat_twice_and_four_times_around_with_the_strength() -> None:
    found = direction_features(vectors(30, strength=0.5))[0]
    expected = [math.cos(math.pi / 3), math.sin(math.pi / 3), math.cos(2 * math.pi / 3), math.sin(2 * math.pi / 3)]
    assert found.tolist() == pytest.approx([each / 2 for each in expected])
    assert direction_features(torch.zeros(1, 2)).tolist() == [[0, 0, 0, 0]]


def test_a_turn_is_counter_clockwise() -> None:
    torch.testing.assert_close(rotated_directions(vectors(170, 40), torch.tensor([20.0, -10])), vectors(10, 30))


FLIPS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor, bool, bool]]] = {
    "horizontal": lambda there, back: (there, back, False, True),
    "vertical": lambda there, back: (back, there, False, True),
    "both": lambda there, back: (back, back, False, False),
    "transposition": lambda there, back: (there, there, True, False),
    "quarter turn": lambda there, back: (there, back, True, True),
}


@pytest.mark.parametrize("flips", FLIPS.values(), ids=FLIPS.keys())
def test_labels_turn_as_the_pictures_do(flips: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, bool, bool]]) -> None:
    there = torch.arange(SIDE)[None]
    rows, columns, transposed, mirrored = flips(there, there.flip(1))
    parameters = AugmentationParameters(
        rows, columns, torch.tensor([transposed]), torch.tensor([mirrored]), torch.zeros(1), torch.ones(1)
    )
    pictures = line(25)
    turned = augment(pictures.float(), parameters).byte()
    told = augmented_directions(direction_vectors(pictures), parameters)
    torch.testing.assert_close(told, direction_vectors(turned), atol=0.06, rtol=0)


def test_drawn_parameters_say_what_happens_to_lines() -> None:
    every = torch.ones(1, dtype=torch.bool)
    parameters = sample_augmentation(
        torch.zeros(64, dtype=torch.int64),
        SIDE,
        Strength(0, 0, 0, 0),
        Symmetries(every, every, every),
        torch.Generator().manual_seed(0),
    )
    pictures = line(25).expand(64, 1, SIDE, SIDE)
    told = augmented_directions(direction_vectors(pictures), parameters)
    assert len(told.unique(dim=0)) == 4
    torch.testing.assert_close(told, direction_vectors(augment(pictures.float(), parameters).byte()), atol=0.06, rtol=0)


@pytest.mark.parametrize("count", [2, 20, 256, 1000])
def test_entries_are_the_photographs_directions_evenly(count: int) -> None:
    given = vectors(*(180 * torch.rand(count, generator=torch.Generator().manual_seed(0))).tolist())
    entries = entries_of(given)
    assert entries.shape == (ENTRIES, 2)
    assert angles(entries).diff().min() >= 0
    shares = torch.tensor([(angles(entries) < each).float().mean() for each in (45, 90, 135)])
    wanted = torch.tensor([(angles(given) < each).float().mean() for each in (45, 90, 135)])
    assert (shares - wanted).abs().max() < 0.01


def drawn(entries: Tensor, angle: tuple[float, float] | None, count: int = 2000) -> Tensor:
    latents = torch.randn(count, 2, generator=torch.Generator().manual_seed(0))
    asked = None if angle is None else torch.tensor(angle).expand(count, 2)
    return draw_directions(entries.expand(count, ENTRIES, 2), latents, asked)


def test_directions_are_drawn_as_the_photographs_have_them() -> None:
    entries = entries_of(torch.cat([vectors(*[20.0] * 30), vectors(*[100.0] * 70)]))
    found = drawn(entries, None)
    near = torch.stack([(angles(found) - 20).abs() < 15, (angles(found) - 100).abs() < 15])
    assert near.any(0).all()
    assert near.float().mean(1).tolist() == pytest.approx([0.3, 0.7], abs=0.04)
    assert torch.equal(found, drawn(entries, (0, 180)))
    torch.testing.assert_close(found.norm(dim=1), torch.full((2000,), 0.8))


@pytest.mark.parametrize(("low", "high"), [(10.0, 40.0), (90.0, 110.0), (170.0, 30.0), (20.0, 20.0)])
def test_an_asked_angle_is_drawn_from_photographs_inside_it(low: float, high: float) -> None:
    entries = entries_of(torch.cat([vectors(*[20.0] * 30), vectors(*[100.0] * 70)]))
    found = (angles(drawn(entries, (low, high))) - low) % 180
    assert ((found <= (high - low) % 180 + 0.01) | (found > 179.99)).all()
    if low != high:
        photographs = 100 if low == 90 else 20
        assert ((found - (photographs - low) % 180).abs() < 10).float().mean() > 0.95


def test_an_angle_that_no_photograph_has_is_drawn_evenly_and_clearly() -> None:
    entries = entries_of(torch.cat([vectors(*[100.0] * 70, strength=0.2), vectors(*[100.0] * 30, strength=0.6)]))
    found = drawn(entries, (150, 30))
    beyond = (angles(found) - 150) % 180
    assert beyond.max() < 60
    assert torch.histc(beyond, 4, 0, 60).min() > 400
    torch.testing.assert_close(found.norm(dim=1), torch.full((2000,), 0.6))


def test_a_drawn_direction_depends_on_its_latent_alone() -> None:
    entries = entries_of(vectors(*range(0, 180, 3)))
    latents = torch.randn(8, 2)
    tables = entries.expand(8, ENTRIES, 2)
    for angles in (None, torch.tensor([20.0, 90.0]).expand(8, 2), torch.tensor([150.0, 30.0]).expand(8, 2)):
        whole = draw_directions(tables, latents, angles)
        alone = draw_directions(tables[:1], latents[3:4], None if angles is None else angles[3:4])
        assert torch.equal(whole[3:4], alone)
