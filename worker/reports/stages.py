"""The stages of a report that measure. Each yields what it found out about one defect type, in a second or a few."""

from collections.abc import Iterator

import torch
from torch import Tensor

from flawsmith.core.domain.quality_report import MeasureResult, Share, TwoSample
from flawsmith.core.domain.records import Verdict, VerdictState
from flawsmith.models.quality.controls import controls
from flawsmith.models.quality.judgement import JudgedPhotographs, Judgement, judge
from flawsmith.models.quality.neighbourhoods import BETTER, neighbourhood_figures
from flawsmith.models.quality.property_shares import (
    RangeShare,
    brightness_shares,
    direction_shares,
    lacking_directions,
)
from flawsmith.models.quality.spectrum import histogram_distance, radial_power_spectrum, spectrum_distance
from flawsmith.worker.reports.findings import Curve, Judged, Lacking, PropertyFindings
from flawsmith.worker.reports.material import Material
from flawsmith.worker.version_photographs import VersionPhotographs

MOST_CONTROLLED = 300  # photographs that are made worse
LEVELS_A_BIN = 4  # gray levels


def verdict_stage(material: Material) -> Judged:
    """What the judge says. A version's own verdict, made before it was published, stays what it is."""
    photographs = material.photographs
    types = range(len(material.classes))
    judged = JudgedPhotographs(
        classes=material.classes,
        training=[material.training(index) for index in types],
        holdout=[material.holdout(index) for index in types],
        training_masks=[_masks(photographs, photographs.training(index)) for index in types],
        holdout_masks=[_masks(photographs, photographs.holdout(index)) for index in types],
    )
    return _recorded(judge(judged, material.sample), material.version.verdict)


def neighbourhood_stage(material: Material) -> Iterator[MeasureResult]:
    """Density, coverage and kernel distance of each type."""
    for index, name in enumerate(material.classes):
        chosen = _subset(material.photographs.training(index))
        worse = controls(material.photographs.images[chosen], _masks(material.photographs, chosen))
        figures = neighbourhood_figures(
            material.samples(index), material.training(index), material.holdout(index), worse
        )
        for figure in figures:
            better = BETTER[figure.name]
            sign = -1 if better == "lower" else 1
            seen = all(sign * figure.photographs > sign * each for each in figure.controls.values())
            yield MeasureResult(type=name, better=better, counts=seen, **vars(figure))


def coverage_stage(material: Material) -> Iterator[PropertyFindings]:
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
        spectra = [radial_power_spectrum(each).tolist() for each in (real, fake)]
        yield (
            Curve(
                type=name,
                x=[float(each + 1) for each in range(len(spectra[0]))],
                photographs=spectra[0],
                samples=spectra[1],
                difference=spectrum_distance(real, fake),
                ordinary=spectrum_distance(*halves),
            ),
            Curve(
                type=name,
                x=[float(each) for each in range(0, 256, LEVELS_A_BIN)],
                photographs=_histogram(real),
                samples=_histogram(fake),
                difference=histogram_distance(real, fake),
                ordinary=histogram_distance(*halves),
            ),
        )


def _recorded(judgement: Judgement, verdict: Verdict | None) -> Judged:
    made = Verdict(state=VerdictState(judgement.state), sentence=judgement.sentence, reasons=judgement.reasons)
    accuracy = judgement.two_sample
    return Judged(
        verdict=verdict or made,
        leading=judgement.leading,
        measures=[MeasureResult(**vars(each)) for each in judgement.measures],
        two_sample=TwoSample(accuracy=accuracy[0], interval=accuracy[1], n=accuracy[2]) if accuracy else None,
    )


def _subset(positions: Tensor) -> Tensor:
    """At most `MOST_CONTROLLED` of the positions, evenly spaced."""
    return positions[:: max(1, -(-len(positions) // MOST_CONTROLLED))]


def _masks(photographs: VersionPhotographs, positions: Tensor) -> list[Tensor | None]:
    return [photographs.masks[each] for each in positions.tolist()]


def _property(
    name: str, defect_type: str | None, ranges: list[RangeShare], lacking: list[tuple[str, RangeShare]]
) -> PropertyFindings:
    return PropertyFindings(
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
