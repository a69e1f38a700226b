"""Whether samples still are, or still look like, the images of the weights that training started from.

A generator near its start makes nearly the start's picture from the same latent. So each sample is compared with the
start's image of the same address, and all of them together with the start's images of other addresses. Both figures
stand on scales that the photographs and the start's own images give.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flawsmith.models.quality.calibration import random_splits, scale_of
from flawsmith.models.quality.controls import BLURS
from flawsmith.models.quality.judged_photographs import JudgedPhotographs
from flawsmith.models.quality.judgement import Judged, Judgement, Sampler, sampled
from flawsmith.models.quality.memorization import normalised
from flawsmith.models.quality.spaces.max_pooled import MaxPooledFeatures
from flawsmith.models.quality.two_sample import energy_distance
from flawsmith.models.quality.verdict_words import MOST, STATES, State
from flawsmith.models.quality.wiping import blurred

NAME = "start_rate"  # of the measure
SAMPLES, LEAST_SAMPLES = 120, 40  # of all types together, but at least of each
PHOTOGRAPHS = 200  # of a type at most
SPLITS = 100  # of a set into two halves
SAME_PICTURE = "blurred 1 px"  # a photograph and its blurred self are the same picture
CONFIDENT = 3.0  # of n photographs that are none of the start's images, the next one is with a chance of 3 / n at most


@dataclass(frozen=True)
class StartFigures:
    """The samples of one type beside the images of the start.

    Attributes:
        rate: share of the samples that are the start's image of the same address: as near to it as half of the
            photographs are to themselves blurred a little, and nearer than any photograph is to any of these images.
        by_chance: the largest share that images which have nothing to do with the start would have.
        recognised: share of the samples that are nearer to the start's image of the same address than to its images of
            all other samples' addresses: what a generator draws soon changes, what lies where in it changes later.
        to_start, to_photographs: energy distances of the samples to the start's images, and to the photographs.
        start_itself, photographs_themselves: the largest such distances between two halves of one set.
    """

    rate: float
    by_chance: float
    recognised: float
    to_start: float
    to_photographs: float
    start_itself: float
    photographs_themselves: float

    @property
    def unlike_photographs(self) -> bool:
        return self.to_photographs > self.photographs_themselves

    @property
    def nearer_to_start(self) -> bool:
        return self.unlike_photographs and self.to_start < self.to_photographs


def start_figures(photographs: Tensor, samples: Tensor, start: Tensor, others: Tensor) -> StartFigures:
    """Compares the samples of one type; the same images give the same figures.

    Args:
        photographs: (N, C, side, side) uint8, N > 3.
        samples: (M, C, side, side) uint8, M > 3.
        start: the start's images of the samples' addresses, (M, C, side, side) uint8.
        others: the start's images of other addresses, (K, C, side, side) uint8, K > 3.
    """
    ours, starts, theirs = normalised(samples), normalised(start), normalised(photographs)
    softened = blurred(photographs.float(), BLURS[SAME_PICTURE]).round().clamp(0, 255).byte()
    same_picture = (theirs - normalised(softened)).norm(dim=1).median()
    unrelated = torch.cdist(theirs, starts).min()
    apart = torch.cdist(ours, starts)
    rate = (apart.diagonal() < torch.minimum(same_picture, unrelated)).float().mean().item()
    recognised = (apart.argmin(1) == torch.arange(len(apart))).float().mean().item()
    features = MaxPooledFeatures(photographs)
    real, fake, first, second = (features(each) for each in (photographs, samples, start, others))
    return StartFigures(
        rate=rate,
        by_chance=min(1.0, CONFIDENT / len(photographs)),
        recognised=recognised,
        to_start=energy_distance(second, fake),
        to_photographs=energy_distance(real, fake),
        start_itself=_themselves(torch.cat([first, second])),
        photographs_themselves=_themselves(real),
    )


def beside_start(
    judgement: Judgement, photographs: JudgedPhotographs, sample: Sampler, start: Sampler
) -> Generator[None, None, Judgement]:
    """The judgement, with what is to be said of samples that are too near to the start, in steps.

    Args:
        judgement: of the photographs and the samples.
        photographs: those that the samples are judged by.
        sample: draws samples by their addresses.
        start: draws the start's images by their addresses.
    """
    types = len(photographs.classes)
    count = max(LEAST_SAMPLES, SAMPLES // types)
    samples = yield from sampled(sample, types, 0, count)
    paired = yield from sampled(start, types, 0, count)
    others = yield from sampled(start, types, count, count)
    said: list[tuple[State, str]] = []
    measures = []
    for index, name in enumerate(photographs.classes):
        known = torch.cat([photographs.training[index], photographs.holdout[index]])
        figures = start_figures(_some(known), samples[index], paired[index], others[index])
        yield
        said += _said(name, figures)
        measures.append(
            Judged(NAME, name, figures.rate, 0.0, {"the start's own images": 1.0}, None, "lower", len(samples[index]))
        )
    return _with_objections(replace(judgement, measures=[*judgement.measures, *measures]), said)


def _said(name: str, figures: StartFigures) -> list[tuple[State, str]]:
    """What is to be said of one type, the worst first."""
    if figures.nearer_to_start and figures.to_start <= figures.start_itself:
        words = f"samples of '{name}' cannot be told from those that training started from: it ended too early"
        return [("failing", words)]
    are_the_start = f"{figures.rate:.0%} of the samples of '{name}' are the pictures that training started from"
    if figures.rate > max(MOST, figures.by_chance):
        return [("failing", f"{are_the_start}: it ended too early")]
    if figures.unlike_photographs and figures.recognised > MOST:
        words = (
            f"{figures.recognised:.0%} of the samples of '{name}' are the pictures that training started from, changed"
        )
        return [("failing", f"{words}: it ended too early")]
    if figures.rate > figures.by_chance:
        return [("warning", are_the_start)]
    if figures.nearer_to_start:
        words = f"samples of '{name}' still look like those that training started from, more than like photographs"
        return [("warning", words)]
    return []


def _with_objections(judgement: Judgement, said: Sequence[tuple[State, str]]) -> Judgement:
    if not said:
        return judgement
    state, worst = max(said, key=lambda each: STATES.index(each[0]))
    words = [each for _, each in said]
    if state != "failing" and STATES.index(state) <= STATES.index(judgement.state):
        return replace(judgement, reasons=[*judgement.reasons, *words])
    sentence = f"{worst[0].upper()}{worst[1:]}."  # where it ended too early, all else follows from that
    return replace(judgement, state=state, sentence=sentence, reasons=[*words, *judgement.reasons])


def _themselves(features: Tensor) -> float:
    """The largest energy distance of two halves, over random splits. Its tail is too long to be told by a spread."""
    splits = random_splits(len(features), len(features) // 2, splits=SPLITS)
    return scale_of(features, {}, splits).photographs.max().item()


def _some(images: Tensor) -> Tensor:
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order[:PHOTOGRAPHS]]
