"""What the figures of one type mean, in words: a state, and reasons on the scale of photographs made worse."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from flawsmith.models.quality.classifier_test import wilson_interval
from flawsmith.models.quality.combined import COMBINED, counting
from flawsmith.models.quality.controls import (
    BLOTCHED,
    BLURS,
    GARISH,
    HALF,
    NOISY,
    REMOVED,
    SHIFTED,
    SHUFFLED,
    SMOOTHED,
    STATIC,
    TINTED,
    WARPS,
)
from flawsmith.models.quality.judged_photographs import FEWEST
from flawsmith.models.quality.judging import VARIETY_IN, SpaceFigures, TypeFigures
from flawsmith.models.quality.space import Space

State = Literal["good", "warning", "failing"]
STATES: tuple[State, ...] = ("good", "warning", "failing")

USELESS = (REMOVED, SMOOTHED, "blurred 2 px", "blurred 4 px", STATIC, GARISH)
"""Controls that show no defect, or none that could be used: samples as far as these are failing.

`SHUFFLED` is none of them: what makes it useless is hardly seen, so that better samples can be as far.
"""

MOST = 0.5  # of the samples; and half way from photographs to a control
ONE_IMAGE = 0.1  # of the photographs' variety: below, nothing else needs to be said first


@dataclass(frozen=True)
class Objection:
    """One reason of the verdict. The lower the rank, the earlier it is said; the distance is part of the sentence."""

    state: State
    rank: int
    words: str
    of_distance: bool = False


@dataclass(frozen=True)
class TypeVerdict:
    """What is said of one type: objections, the worst first, and the name of the space that leads."""

    objections: list[Objection]
    leading: str
    good: str

    @property
    def state(self) -> State:
        return max((each.state for each in self.objections), key=STATES.index, default="good")


def verdict_of(figures: TypeFigures, spaces: Sequence[Space], classes: Sequence[str]) -> TypeVerdict:
    """Says what the samples of one type are."""
    trusted = counting(figures, spaces)
    seeing = COMBINED in figures.spaces
    whole = [each for each in trusted if not each.of_color]  # colors alone say nothing of defects
    leading = COMBINED if seeing else next((each.name for each in whole), VARIETY_IN)
    objections = [
        *_limits(figures, seeing, any(each.of_color for each in trusted)),
        *_noise(figures),
        *_collapse(figures),
        *_copies(figures),
        *_not_shown(figures, seeing),
        *_directions(figures),
    ]
    if whole:
        objections += _distance(figures, leading, classes)
    for each in trusted:
        if each.of_lines:
            objections += _lines(figures, each, leading, objections)
        elif each.name != leading:
            objections += _other_distance(figures, each)
    objections.sort(key=lambda each: (-STATES.index(each.state), each.rank))
    good = _good(figures, leading, [each.name for each in trusted])
    return TypeVerdict(objections, leading, good)


def described(control: str, name: str, classes: Sequence[str]) -> str:
    """A control of the type `name`, such as "photographs blurred by 2 px"."""
    if control.startswith("type "):
        return f"photographs of '{classes[int(control.removeprefix('type '))]}'"
    return {
        REMOVED: f"photographs whose {name} were wiped out",
        SMOOTHED: f"photographs whose {name} were wiped out by a median filter",
        **{blur: f"photographs blurred by {pixels:g} px" for blur, pixels in BLURS.items()},
        NOISY: "photographs with noise added",
        SHUFFLED: "photographs cut into patches and shuffled",
        SHIFTED: "photographs whose gray values were shifted",
        STATIC: "pure noise",
        HALF: "photographs of which half of the kinds are missing",
        TINTED: "photographs with a tint added",
        BLOTCHED: "photographs with colored blotches added",
        GARISH: "photographs with a glaring tint added",
        **{warp: f"photographs warped by {pixels:g} px" for warp, pixels in WARPS.items()},
    }[control]


def _limits(figures: TypeFigures, seeing: bool, seeing_color: bool) -> Iterator[Objection]:
    """What the verdict cannot know."""
    name, count = figures.name, len(figures.photographs.images)
    if not figures.photographs.calibrates:
        words = f"{count} photographs of '{name}' are too few to calibrate a measure: that takes {FEWEST}"
        yield Objection("warning", 8, words)
    elif not seeing:
        words = (
            f"no measure tells photographs of '{name}' from photographs whose {name} were wiped out: "
            "the verdict cannot see this set's defects"
        )
        yield Objection("warning", 7, words)
    if figures.photographs.calibrates and figures.photographs.in_color and not seeing_color:
        words = f"no measure tells photographs of '{name}' from ones with other colors: the verdict cannot see colors"
        yield Objection("warning", 7, words)


def _noise(figures: TypeFigures) -> Iterator[Objection]:
    photographs, samples = figures.correlation
    if photographs > 0 and samples < MOST * photographs:
        words = (
            f"samples of '{figures.name}' are pure noise: neighbouring pixels are correlated by {samples:.2f}, "
            f"in photographs by {photographs:.2f}"
        )
        yield Objection("failing", 0, words)


def _collapse(figures: TypeFigures) -> Iterator[Objection]:
    diversity = figures.spaces[VARIETY_IN].diversity
    if diversity < MOST:
        what = "collapsed into nearly one image" if diversity < ONE_IMAGE else "are too much alike"
        words = f"samples of '{figures.name}' {what}: they differ {diversity:.0%} as much as photographs do"
        yield Objection("failing", 1 if diversity < ONE_IMAGE else 3, words)


def _copies(figures: TypeFigures) -> Iterator[Objection]:
    if figures.copies is not None and figures.copies > figures.copies_by_chance:
        state: State = "failing" if figures.copies > MOST else "warning"
        yield Objection(
            state, 4, f"{figures.copies:.0%} of the samples of '{figures.name}' are copies of photographs trained on"
        )


def _not_shown(figures: TypeFigures, seeing: bool) -> Iterator[Objection]:
    shown = figures.shown
    if shown is None or not shown.sees or not seeing:
        return
    usual, removed = shown.photographs.mean().item(), shown.removed.mean().item()
    if shown.samples >= usual - 2 * shown.spread:
        return
    beside = f"where {usual:.0%} of the photographs do, and {removed:.0%} of those whose {figures.name} were wiped out"
    if shown.samples < shown.half_way:
        words = f"samples do not show the {figures.name}: {shown.samples:.0%} of them do, {beside}"
        yield Objection("failing", 2, words)
    else:
        yield Objection("warning", 2, f"{shown.samples:.0%} of the samples show the {figures.name}, {beside}")


def _distance(figures: TypeFigures, leading: str, classes: Sequence[str]) -> Iterator[Objection]:
    """What the leading measure says."""
    of = figures.spaces[leading]
    reached = _reached(of, tuple(of.scale.controls))
    likest = min(of.likeness, key=lambda name: of.likeness[name])
    same = of.likeness[likest] <= of.scale.most < of.value and of.likeness[likest] < of.value
    if not reached and not same:
        yield from _half_way_there(figures.name, of)
        return
    other_type = likest.startswith("type ")
    useless = any(name in USELESS for name in reached) or of.value >= _half_way(of)
    unlike = same and (other_type or likest in (*USELESS, SHUFFLED))
    state: State = "failing" if useless or unlike else "warning"
    what, name = described(likest, figures.name, classes), figures.name
    if same:
        yield Objection(state, 1, f"samples of '{name}' cannot be told from {what}", of_distance=True)
    elif of.likeness[likest] < MOST * of.value:
        rank = 1 if other_type or likest == STATIC else 5
        yield Objection(
            state, rank, f"samples of '{name}' are most like {what}, and {_as_far_as(of)}", of_distance=True
        )
    else:
        yield Objection(state, 5, f"samples of '{name}' are {_as_far_as(of)}", of_distance=True)


def _half_way_there(name: str, of: SpaceFigures) -> Iterator[Objection]:
    """What the leading measure says where samples have not come as far as any control."""
    if of.value >= _half_way(of):
        share = (of.value - of.scale.usual) / (of.scale.controls[REMOVED].mean().item() - of.scale.usual)
        words = f"samples of '{name}' are {share:.0%} as far from photographs as {described(REMOVED, name, ())}"
        yield Objection("failing", 5, words, of_distance=True)


def _half_way(figures: SpaceFigures) -> float:
    """The distance half way from photographs to photographs whose defects were removed; infinity if that is unseen."""
    if REMOVED not in figures.scale.controls or not figures.scale.sees(REMOVED):
        return math.inf
    return figures.scale.usual + MOST * (figures.scale.controls[REMOVED].mean().item() - figures.scale.usual)


def _other_distance(figures: TypeFigures, space: Space) -> Iterator[Objection]:
    """What a measure that does not lead says, where it is as far as a control that it is made to see.

    Farther than all of those that no one could use is failing by any measure.
    """
    of = figures.spaces[space.name]
    if reached := _reached(of, tuple(space.claims)):
        farthest = max(reached, key=lambda name: of.scale.controls[name].mean().item())
        what = described(farthest, figures.name, ())
        measure = space.name.replace("_", " ")
        words = f"by the measure '{measure}', samples of '{figures.name}' are as far from photographs as {what}"
        useless = [name for name in space.claims if name in USELESS]
        yield Objection("failing" if useless and set(useless) <= set(reached) else "warning", 6, words)


def _lines(figures: TypeFigures, space: Space, leading: str, objections: Sequence[Objection]) -> Iterator[Objection]:
    """What a measure of lines says, where samples are half way to the weakest warp that it sees, or farther.

    Samples of no use have no lines that waver. The words are of wavering only where samples are more like a warp than
    like photographs (they may be straighter), and than like any control that the leading measure does not rule out.
    """
    of, name = figures.spaces[space.name], figures.name
    seen = {warp: pixels for warp, pixels in WARPS.items() if of.scale.sees(warp)}
    weakest = min(of.scale.controls[warp].mean().item() for warp in seen)
    least = max(of.scale.usual + MOST * (weakest - of.scale.usual), of.scale.most)
    if of.value < least or any(each.state == "failing" for each in objections):
        return
    lead = figures.spaces[leading]
    possible = _reached(lead, [each for each in of.likeness if each not in WARPS])
    if any(each.of_distance for each in objections):
        possible.append(min(lead.likeness, key=lambda control: lead.likeness[control]))
    likest = min((*seen, *possible), key=lambda control: of.likeness[control])
    pixels = _pixels(of, seen)
    far = f"photographs warped by {max(seen.values()) if pixels is None else pixels:.1f} px"
    if likest in seen and of.likeness[likest] < of.value:
        words = f"lines of samples of '{name}' waver {'more than' if pixels is None else 'as'} in {far}"
    else:
        beyond = "farther from photographs than" if pixels is None else "as far from photographs as"
        words = f"by the measure '{space.name}', samples of '{name}' are {beyond} {far}"
    yield Objection("warning", 6, words, of_distance=True)


def _directions(figures: TypeFigures) -> Iterator[Objection]:
    """Which directions of lines the samples lack."""
    for direction, share in figures.lacking_directions:
        shares = [
            f"{part:.0%} of {count} {what} ({low:.0%} to {high:.0%})"
            for what, part, count in (
                ("photographs", share.photographs, share.photographs_n),
                ("samples", share.samples, share.samples_n),
            )
            for low, high in [wilson_interval(round(part * count), count)]
        ]
        words = f"samples of '{figures.name}' lack {direction} lines: {shares[0]} have them, {shares[1]} do"
        yield Objection("warning", 6, words)


def _reached(figures: SpaceFigures, controls: Sequence[str]) -> list[str]:
    """The controls that the space sees and that are no farther from photographs than the samples are."""
    seen = [name for name in controls if name in figures.scale.controls and figures.scale.sees(name)]
    return [name for name in seen if figures.value >= figures.scale.controls[name].mean().item()]


def _as_far_as(figures: SpaceFigures) -> str:
    """The samples' distance as that of photographs blurred by so many pixels."""
    if figures.value < figures.scale.usual:
        return "as near to photographs as photographs are to one another"
    if (pixels := _pixels(figures, BLURS)) is None:
        return f"farther from photographs than photographs blurred by {max(BLURS.values()):g} px"
    return f"as far from photographs as photographs blurred by {pixels:.1f} px"


def _pixels(figures: SpaceFigures, controls: Mapping[str, float]) -> float | None:
    """For how many pixels the samples are as far as such controls, by their pixels; None: for more than they show."""
    known = [(0.0, figures.scale.usual)]
    known += [(pixels, figures.scale.controls[name].mean().item()) for name, pixels in controls.items()]
    for (less, nearer), (more, farther) in pairwise(known):
        if nearer <= figures.value < farther:
            return less + (more - less) * (figures.value - nearer) / (farther - nearer)
    return None


def _good(figures: TypeFigures, leading: str, trusted: Sequence[str]) -> str:
    name = figures.name
    if all(figures.spaces[each].value <= figures.spaces[each].scale.most for each in trusted):
        return f"samples of '{name}' cannot be told from photographs by any measure"
    of = figures.spaces[leading]
    if of.value <= of.scale.most:
        return f"samples of '{name}' cannot be told from photographs by the leading measure"
    return f"samples of '{name}' are {_as_far_as(of)}"
