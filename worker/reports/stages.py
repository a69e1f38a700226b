"""The stages of a report that measure. Each yields what it found out about one defect type, in a second or a few."""

from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch import Tensor

from flawsmith.core.domain.quality_report import MeasureResult, Share
from flawsmith.models.quality.controls import APART, REMOVED, SMOOTHED, STATIC, controls
from flawsmith.models.quality.judging import calibrating
from flawsmith.models.quality.neighbourhoods import BETTER, neighbourhood_figures
from flawsmith.models.quality.property_shares import (
    RangeShare,
    brightness_shares,
    direction_shares,
    lacking_directions,
)
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.models.quality.spectrum import histogram_distance, radial_power_spectrum, spectrum_distance
from flawsmith.models.quality.wiping import masks_of
from flawsmith.worker.image_scores import scoring
from flawsmith.worker.reports.analysis import Curve, Judged, Lacking, PropertyAnalysis
from flawsmith.worker.reports.material import Material
from flawsmith.worker.verdict import judged_of, judged_photographs, judging_with_scores, sampler, to_verdict

MOST_CONTROLLED = 100  # photographs of a type that are made worse, unless samples are compared with more
LEVELS_A_BIN = 4  # gray levels
CLAIMS = (REMOVED, SMOOTHED, "blurred 2 px", "blurred 4 px", STATIC)
"""What density, coverage and kernel distance must see to count: controls that show no defect that could be used."""


def verdict_stage(material: Material) -> Generator[None, None, Judged]:
    """What the judge said before the version was published. Where that was not kept, it judges again.

    A version's own verdict stays what it is. What images are scored with is made again too, where it is missing.
    """
    kept = material.judgement
    if kept is not None and material.has_scores:
        return kept
    if kept is not None:
        calibration = yield from calibrating(judged_photographs(material.photographs), SPACES)
        material.scores = yield from scoring(calibration, material.sample)
        return kept
    start = material.start
    judgement, material.scores = yield from judging_with_scores(
        judged_photographs(material.photographs),
        material.sample,
        sampler(start) if start else None,
        composed=not material.version.has_networks,
    )
    return judged_of(judgement, material.version.verdict or to_verdict(judgement))


def neighbourhood_stage(material: Material) -> Iterator[MeasureResult]:
    """Density, coverage and kernel distance of each type."""
    for index, name in enumerate(material.classes):
        worse = _made_worse(material, index)
        figures = neighbourhood_figures(
            material.samples(index), material.training(index), material.holdout(index), worse
        )
        for figure in figures:
            better = BETTER[figure.name]
            sign = -1 if better == "lower" else 1
            seen = all(sign * figure.photographs > sign * figure.controls[each] for each in CLAIMS if each in worse)
            yield MeasureResult(type=name, better=better, counts=seen, **vars(figure))


def coverage_stage(material: Material) -> Iterator[PropertyAnalysis]:
    """Directions and brightness of each type, and before them of all types where there are several."""
    types = range(len(material.classes))
    photographs = [material.of_type(index) for index in types]
    samples = [material.samples(index) for index in types]
    sides: list[tuple[str | None, Tensor, Tensor]] = list(zip(material.classes, photographs, samples, strict=True))
    if len(sides) > 1:
        sides.insert(0, (None, torch.cat(photographs), torch.cat(samples)))
    for name, real, fake in sides:
        directions = direction_shares(real, fake)
        yield _property("direction", name, directions, lacking_directions(directions))
        brightness = brightness_shares(real, fake)
        lacking = [(f"{each.low:.0f} to {each.high:.0f}", each) for each in brightness if each.lacking]
        yield _property("brightness", name, brightness, lacking)


def curve_stage(material: Material) -> Iterator[tuple[Curve, Curve]]:
    """Power spectrum and gray values of each type."""
    for index, name in enumerate(material.classes):
        real, fake = material.of_type(index), material.samples(index)
        halves = real[::2], real[1::2]
        compared: dict[str, Any] = {"type": name, "photographs_n": len(real), "samples_n": len(fake)}
        spectra = [radial_power_spectrum(each).tolist() for each in (real, fake)]
        yield (
            Curve(
                **compared,
                x=[float(each + 1) for each in range(len(spectra[0]))],
                photographs=spectra[0],
                samples=spectra[1],
                difference=spectrum_distance(real, fake),
                ordinary=spectrum_distance(*halves),
            ),
            Curve(
                **compared,
                x=[float(each) for each in range(0, 256, LEVELS_A_BIN)],
                photographs=_histogram(real),
                samples=_histogram(fake),
                difference=histogram_distance(real, fake),
                ordinary=histogram_distance(*halves),
            ),
        )


def _made_worse(material: Material, index: int) -> dict[str, Tensor]:
    """Photographs of a type made worse, by what was done; at least as many as samples are compared with."""
    photographs = material.photographs
    positions = photographs.training(index)
    compared_with = max(2 * len(photographs.holdout(index)), -(-len(positions) // 2))
    count = min(len(positions), max(MOST_CONTROLLED, compared_with))
    chosen = positions[torch.linspace(0, len(positions) - 1, count).round().long()]
    images = photographs.images[chosen]
    worse = controls(images, masks_of(images, [photographs.masks[each] for each in chosen.tolist()]))
    apart = frozenset().union(*APART)  # what neighbourhoods are not made to see
    return {name: made for name, made in worse.items() if name not in apart}


def _property(
    name: str, defect_type: str | None, ranges: list[RangeShare], lacking: list[tuple[str, RangeShare]]
) -> PropertyAnalysis:
    return PropertyAnalysis(
        property=name,
        type=defect_type,
        ranges=[
            Share(from_=each.low, to=each.high, photographs=each.photographs, samples=each.samples) for each in ranges
        ],
        lacking=[Lacking(what=what, photographs=each.photographs, samples=each.samples) for what, each in lacking],
        photographs_n=ranges[0].photographs_n,
        samples_n=ranges[0].samples_n,
    )


def _histogram(images: Tensor) -> list[float]:
    """The share of pixels in each bin of `LEVELS_A_BIN` gray levels."""
    counts = torch.bincount(images.flatten().long() // LEVELS_A_BIN, minlength=256 // LEVELS_A_BIN)
    shares: list[float] = (counts / images.numel()).tolist()
    return shares
