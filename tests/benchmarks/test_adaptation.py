"""The ways to train a start further do what they say."""

import copy

import torch
from benchmarks.adaptation import ADAPTATIONS, fisher_information, likeness
from tests.models.presets.fewshot.runs import DIRECTED, trainer
from torch import Tensor

from flawsmith.models.presets.fewshot.networks import Generator
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer

STEPS = 20


def trained(adaptation: str | None) -> tuple[FewshotTrainer, FewshotTrainer]:
    """A run after some steps, and the start that it had."""
    run = trainer(DIRECTED)
    start = copy.deepcopy(run)
    if adaptation:
        ADAPTATIONS[adaptation](run)
    for number in range(STEPS):
        run.step(number / STEPS)
    return run, start


def distance(one: list[Tensor], other: list[Tensor]) -> float:
    """The root of the sum of squared differences."""
    return torch.stack([(a - b).square().sum() for a, b in zip(one, other, strict=True)]).sum().sqrt().item()


def change_of_likeness(one: Generator, other: Generator) -> float:
    """How differently two generators' images are alike."""
    latents = torch.randn(16, one.latent_size, generator=torch.Generator().manual_seed(5))
    types = torch.arange(16) % one.types
    inputs = latents, types, one.drawn_directions(latents, types)
    with torch.no_grad():
        return distance(likeness(one, inputs), likeness(other, inputs))


def test_a_pulled_generator_stays_nearer_to_its_start() -> None:
    went = [
        distance(list(run.generator.parameters()), list(start.generator.parameters()))
        for run, start in map(trained, ("pull", None))
    ]
    assert 0 < went[0] < went[1]


def test_elastic_weights_stay_nearer_to_their_start_where_they_matter() -> None:
    went = []
    for run, start in map(trained, ("elastic", None)):
        importance = [each.sqrt() for each in fisher_information(start)]
        now, then = (list(each.generator.parameters()) for each in (run, start))
        went.append(distance(*([a * b for a, b in zip(each, importance, strict=True)] for each in (now, then))))
    assert 0 < went[0] < went[1]


def test_correspondence_keeps_how_images_are_alike() -> None:
    changed = [change_of_likeness(run.generator, start.generator) for run, start in map(trained, ("correspond", None))]
    assert changed[0] < changed[1]


def test_frozen_convolutions_stay_and_the_others_learn() -> None:
    run, start = trained("freeze")
    now, then = (list(each.discriminator.convolutions) for each in (run, start))
    same = [torch.equal(a.weight, b.weight) for a, b in zip(now, then, strict=True)]  # type: ignore[arg-type]
    assert same[:2] == [True, True] and not any(same[2:])


def test_a_slow_discriminator_goes_less_far() -> None:
    went = [
        distance(list(run.discriminator.parameters()), list(start.discriminator.parameters()))
        for run, start in map(trained, ("slow", None))
    ]
    assert 0 < went[0] < 0.75 * went[1]
