"""Power spectrum and gray values of each image: sharpness, grain and brightness, without any network."""

import torch
from torch import Tensor

from flawsmith.models.quality.controls import NOISY, SHIFTED, STATIC
from flawsmith.models.quality.random_features import Features, weighted
from flawsmith.models.quality.space import Lesson, Space, at_once
from flawsmith.models.quality.spectrum import radial_power_spectra

QUANTILES = 9


class _Standardised:
    def __init__(self, extract: Features, reference: Tensor) -> None:
        self._extract, self._reference = extract, extract(reference)

    def __call__(self, images: Tensor) -> Tensor:
        return weighted(self._extract(images), self._reference)


def _gray_values(images: Tensor) -> Tensor:
    """Evenly spaced quantiles of each image's gray values: (N, 9) float32."""
    ordered = images.float().flatten(1).sort(1).values
    places = torch.linspace(0, ordered.shape[1] - 1, QUANTILES).round().long()
    return ordered[:, places]


def _prepare_spectrum(lesson: Lesson) -> Features:
    return _Standardised(radial_power_spectra, lesson.images)


def _prepare_gray_values(lesson: Lesson) -> Features:
    return _Standardised(_gray_values, lesson.images)


SPACES = (
    Space(
        name="power_spectrum",
        meaning="power at each spatial frequency, over all directions",
        claims=("blurred 1 px", "blurred 2 px", "blurred 4 px", NOISY, STATIC),
        prepare=at_once(_prepare_spectrum),
    ),
    Space(
        name="gray_values",
        meaning="quantiles of an image's gray values",
        claims=(SHIFTED,),
        prepare=at_once(_prepare_gray_values),
    ),
)
