"""How many pairs of samples are nearly the same image."""

import torch
from torch.nn import functional as F

from flawsmith.models.quality.comparison import Photographs, Samples
from flawsmith.models.quality.measure import Measure, Measurement

CLOSEST_REAL_PAIRS = 0.01  # share of the pairs of photographs; closer pairs of samples are near-duplicates


def _prepare(photographs: Photographs) -> Measurement:
    close = F.pdist(torch.cat(photographs.training_features)).quantile(CLOSEST_REAL_PAIRS).item()

    def measure(samples: Samples) -> float:
        return (F.pdist(torch.cat(samples.features)) < close).float().mean().item()

    return measure


MEASURES = (
    Measure(
        name="near_duplicates",
        meaning="share of the pairs of samples that are closer than the closest hundredth of the pairs of photographs",
        better="lower",
        prepare=_prepare,
        warning=0.05,
        sentence="{value:.0%} of the pairs of samples are nearly the same image",
    ),
)
