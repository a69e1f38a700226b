"""Samples that are, or look like, the images that training started from are called that."""

import pytest
import torch
from tests.models.pictures import blots, streaks
from torch import Tensor

from flawsmith.models.quality.judged_photographs import JudgedPhotographs
from flawsmith.models.quality.judgement import Judgement, Sampler
from flawsmith.models.quality.start_likeness import beside_start

PHOTOGRAPHS, FRESH = blots(0, 100), blots(1, 120)
START = streaks(2, 240)  # the addresses from 0 on
OTHERS = streaks(3, 120)  # as the start's images, but none of them


def returning(images: Tensor) -> Sampler:
    return lambda each_type, seed, count: images[torch.arange(seed, seed + count) % len(images)]


def judged(samples: Tensor, photographs: Tensor = PHOTOGRAPHS, state: str = "good") -> Judgement:
    before = Judgement(state, "Samples are as photographs.", ["before"])  # type: ignore[arg-type]
    masks: list[list[Tensor | None]] = [[None] * len(photographs)]
    of = JudgedPhotographs(["blots"], [photographs], [photographs[:0]], masks, [[]])
    steps = beside_start(before, of, returning(samples), returning(START))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            assert isinstance(end.value, Judgement)
            return end.value


def rate(judgement: Judgement) -> float:
    [measure] = [each for each in judgement.measures if each.name == "start_rate"]
    return measure.value


@pytest.mark.parametrize("samples", [START, OTHERS], ids=["its own images", "others like them"])
def test_a_generator_that_still_is_the_start_is_failing(samples: Tensor) -> None:
    judgement = judged(samples)
    assert judgement.state == "failing"
    assert judgement.sentence.startswith("Samples of 'blots' cannot be told from those that training started from")
    assert rate(judgement) == (1.0 if samples is START else 0.0)


def test_a_generator_that_left_the_start_is_judged_as_before() -> None:
    judgement = judged(FRESH)
    assert (judgement.state, judgement.sentence, judgement.reasons) == (
        "good",
        "Samples are as photographs.",
        ["before"],
    )
    assert rate(judgement) == 0


def test_some_pictures_of_the_start_among_the_samples_are_a_warning() -> None:
    few = FRESH.clone()
    few[::6] = START[: len(few) : 6]
    judgement = judged(few)
    assert judgement.state == "warning"
    assert judgement.sentence == "17% of the samples of 'blots' are the pictures that training started from."


def test_a_picture_of_the_start_hardly_changed_is_still_its_picture() -> None:
    brighter = (START.float() * 0.9 + 20).round().byte()
    assert rate(judged(brighter)) > 0.95


def test_pictures_of_the_start_that_changed_much_but_lie_where_they_lay_are_failing() -> None:
    """A step or two of training change grain, contrast and light at once, and what is where much later."""
    grain = 40 * torch.randn(START.shape, generator=torch.Generator().manual_seed(0))
    judgement = judged((0.5 * START.float() + 60 + grain).round().clamp(0, 255).byte(), state="failing")
    assert rate(judgement) < 0.1
    assert judgement.state == "failing"
    assert "are the pictures that training started from, changed: it ended too early" in judgement.sentence
    assert judgement.reasons[-1] == "before"


def test_samples_between_start_and_photographs_are_a_warning() -> None:
    mixed = torch.cat([OTHERS[:66], FRESH[:54]])[torch.randperm(120, generator=torch.Generator().manual_seed(0))]
    judgement = judged(mixed)
    assert judgement.state == "warning"
    assert "still look like those that training started from" in judgement.sentence


def test_what_is_worse_stays_the_verdict() -> None:
    few = FRESH.clone()
    few[::6] = START[: len(few) : 6]
    judgement = judged(few, state="failing")
    assert (judgement.state, judgement.sentence) == ("failing", "Samples are as photographs.")
    assert len(judgement.reasons) == 2


def test_few_photographs_are_enough() -> None:
    assert judged(FRESH, PHOTOGRAPHS[:10]).state == "good"
    assert judged(START, PHOTOGRAPHS[:10]).state == "failing"
