"""Photographs of a type are divided into kinds, which both networks are told."""

from dataclasses import replace

import pytest
import torch
from tests.models.presets.fewshot.runs import DIRECTED, KINDS, noise, slanted, trainer
from torch import Tensor

from flawsmith.models.presets.fewshot.directions import ENTRIES, VECTOR, entries_of
from flawsmith.models.presets.fewshot.kinds import kinds_of
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer


def corners(count: int) -> Tensor:
    """Grain with a dark corner, which is somewhat larger in each picture."""
    images = 120 + noise(count) // 16
    for index, image in enumerate(images):
        image[:, : 8 + index % 4, : 8 + index % 4] = 40
    return images


def plain(count: int) -> Tensor:
    return 150 + noise(count + 40)[40:] // 16


MIXED = torch.cat([plain(34), corners(6)])
RARE = torch.arange(40) >= 34


@pytest.mark.parametrize("channels", [1, 3])
def test_rare_photographs_that_look_alike_are_a_kind(channels: int) -> None:
    found = kinds_of(MIXED.repeat(1, channels, 1, 1), 2)
    assert torch.equal(found == 0, RARE), "the darker kind comes first"
    assert torch.equal(found, kinds_of(MIXED.repeat(1, channels, 1, 1), 2))


@pytest.mark.parametrize("photographs", [MIXED, MIXED[:1], MIXED[:1].expand(99, -1, -1, -1)])
@pytest.mark.parametrize("kinds", [1, 2, 5])
def test_there_are_at_most_as_many_kinds_as_asked_for(photographs: Tensor, kinds: int) -> None:
    found = kinds_of(photographs, kinds)
    assert found.shape == (len(photographs),)
    assert found.min() == 0
    assert found.max() < kinds


def test_a_single_photograph_is_no_kind() -> None:
    odd = torch.cat([plain(100), 255 - slanted(1, 45)])
    found = kinds_of(odd, 5)
    assert torch.bincount(found).min() >= 5


@pytest.mark.parametrize("rare", [1, 3, 6])
def test_a_kind_of_few_among_very_many_is_drawn(rare: int) -> None:
    """A generator keeps 256 directions of a type, however many photographs there are."""
    directions = torch.cat([torch.randn(2000, 2), torch.eye(3)[torch.arange(2000) % 2]], 1)
    directions[:rare, 2:] = torch.tensor([0.0, 0.0, 1.0])
    entries = entries_of(directions)
    assert entries.shape == (ENTRIES, 5)
    assert entries[:, 2:].sum(0).tolist() == pytest.approx([127.5, 127.5, 1], abs=1)
    assert entries[:, 4].sum() >= 1


def test_few_photographs_are_not_divided() -> None:
    """Such as the ten of an evaluation's experiment, whose networks have as many kinds as the version's."""
    assert kinds_of(torch.cat([plain(5), corners(5)]), 5).eq(0).all()
    run = trainer(replace(DIRECTED, kinds=5), types=1, photographs=torch.cat([plain(5), corners(5)]))
    run.step(0.5)
    assert run.preview().shape[0] == 8


def test_images_draw_kinds_as_often_as_photographs_have_them() -> None:
    run = trainer(KINDS, types=1, photographs=MIXED)
    latents = torch.randn(2000, run.generator.latent_size, generator=torch.Generator().manual_seed(0))
    drawn = run.ema.module.drawn_directions(latents, torch.zeros(2000, dtype=torch.int64))[:, VECTOR:]
    assert torch.equal(drawn.sum(1), torch.ones(2000))
    assert drawn[:, 0].mean().item() == pytest.approx(6 / 40, abs=0.03)
    (found,) = run.analysis()["directions"]
    assert found["kinds"] == [6, 34]


def test_an_image_has_direction_and_kind_of_the_same_photograph() -> None:
    upright = 255 - slanted(20, 90)
    photographs = torch.cat([slanted(20, 0), upright])  # dark ones with a bright level line, bright ones otherwise
    run = trainer(KINDS, types=1, photographs=photographs)
    latents = torch.randn(200, run.generator.latent_size, generator=torch.Generator().manual_seed(0))
    drawn = run.generator.drawn_directions(latents, torch.zeros(200, dtype=torch.int64))
    level = drawn[:, 0] > 0
    assert 60 < level.sum() < 140
    assert torch.equal(drawn[:, VECTOR] == 1, level)
    asked = torch.tensor([40.0, 50.0]).expand(200, 2)  # no photograph has it, so that any kind will do
    drawn = run.generator.drawn_directions(latents, torch.zeros(200, dtype=torch.int64), asked)
    assert 60 < drawn[:, VECTOR].sum() < 140


def test_a_rare_kind_is_shown_more_often_than_it_is_there() -> None:
    run = trainer(KINDS, types=1, photographs=MIXED)
    shown = torch.cat([run.batches.next(4)[0] for _ in range(90)])
    share = RARE[shown].float().mean().item()
    assert share == pytest.approx(1 / 3, abs=0.01)  # the root of 34 / 6 is about 2
    assert len(shown.unique()) == 40


def test_both_networks_learn_what_kinds_mean() -> None:
    run = trainer(KINDS, types=1, photographs=MIXED)
    before = run.generator.embedding.weight.clone()
    for _ in range(3):
        run.step(0.5)
    assert (run.discriminator.heads_by_type.weight.abs().amax(0) > 0).all()
    assert (run.generator.embedding.weight != before).any(0).all()
    latents = torch.randn(1, run.generator.latent_size)
    types = torch.zeros(1, dtype=torch.int64)
    one, other = (run.generator(latents, types, torch.tensor([[0.5, 0.0, *each]])) for each in ((1, 0), (0, 1)))
    assert not torch.allclose(one, other)


def test_a_resumed_run_keeps_the_kinds_that_it_began_with() -> None:
    """They may be measured otherwise on another machine."""

    def run() -> FewshotTrainer:
        return trainer(KINDS, types=1, photographs=MIXED)

    first, rest = run(), run()
    assert first.directions is not None
    assert rest.directions is not None
    first.directions.kind[:20] = 0
    first.batches = first._batches()
    first.generator.directions.copy_(first.directions.entries)
    first.step(0.5)
    rest.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert torch.equal(rest.directions.kind, first.directions.kind)
    for each in (first, rest):
        each.step(0.5)
    wanted = first.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in rest.state_dict().items())


def test_networks_that_know_one_kind_do_not_know_of_kinds() -> None:
    """They have the weights and states of earlier releases."""
    state = trainer(DIRECTED).state_dict()
    assert "kinds" not in state
    assert state["generator.directions"].shape[2] == VECTOR
    assert state["discriminator.heads_by_type.weight"].shape[1] == 2
    assert trainer(replace(DIRECTED, kinds=3)).state_dict()["discriminator.heads_by_type.weight"].shape[1] == 6
