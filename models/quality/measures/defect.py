"""Whether samples show the defect, on the scale of the photographs with and without it."""

from flawsmith.models.quality.comparison import Photographs
from flawsmith.models.quality.measure import Measure, Measurement, Need

AS_WITHOUT = 1.0  # the distance of photographs without their defects, by definition
HALF_WAY = 0.5  # between photographs and photographs without their defects


def _prepare_distance(photographs: Photographs) -> Measurement:
    scale = photographs.defects
    return lambda samples: samples.on_defect_scale(scale)[0]


def _prepare_shown(photographs: Photographs) -> Measurement:
    scale = photographs.defects
    return lambda samples: samples.on_defect_scale(scale)[1]


MEASURES = (
    Measure(
        name="defect_distance",
        meaning=(
            "energy distance of samples to photographs in max-pooled features and ridges; 0 as photographs, 1 as "
            "photographs whose defects were wiped out"
        ),
        better="lower",
        prepare=_prepare_distance,
        needs=(Need.DEFECTS,),
        warning=HALF_WAY,
        failing=AS_WITHOUT,
        sentence=(
            "after {step} steps samples are {value:.1f} times as far from photographs as photographs whose defects "
            "were wiped out"
        ),
    ),
    Measure(
        name="defect_shown",
        meaning=(
            "how often samples show the defect; 1 as often as photographs, 0 as often as photographs whose defects "
            "were wiped out"
        ),
        better="higher",
        prepare=_prepare_shown,
        needs=(Need.DEFECTS,),
        failing=HALF_WAY,
        sentence=(
            "samples do not show the defect: on the scale from photographs whose defects were wiped out (0%) to "
            "photographs (100%) they are at {value:.0%}"
        ),
    ),
)
