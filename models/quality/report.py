"""All offline quality figures of one set of images, over several feature spaces and random subsets."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from flawsmith.models.quality.memorization import authenticity, memorization_rate, min_nn_ratio, nearest_distances
from flawsmith.models.quality.random_features import Features, LayoutFeatures, TextureFeatures, standardised
from flawsmith.models.quality.spectrum import histogram_distance, spectrum_distance
from flawsmith.models.quality.two_sample import density_and_coverage, mmd_poly

SEEDS = (0, 1, 2)  # of the random features
SUBSETS = 20  # random, as large as the set of photographs, for density and coverage


@dataclass(frozen=True)
class Quality:
    """The figures of a set of images; the functions of `models.quality` define them.

    Attributes:
        mmd_poly: by the name of the feature space, one value for each of `SEEDS`.
        density, coverage: by the name of the feature space, the mean over seeds and subsets.
        spectrum_decades: the largest difference between the power spectra.
        histogram_levels: Wasserstein-1 distance of the gray values.
        nearest_distance: mean distance to the nearest training photograph.
        authenticity, memorization_rate: with respect to the training photographs.
    """

    mmd_poly: dict[str, list[float]]
    density: dict[str, float]
    coverage: dict[str, float]
    spectrum_decades: float
    histogram_levels: float
    nearest_distance: float
    authenticity: float
    memorization_rate: float


def measure(images: Tensor, holdout: Tensor, training: Tensor) -> Quality:
    """Compares images with photographs never trained on; the same images give the same figures.

    Args:
        images: (M, C, side, side) uint8, generated; or photographs, to compare the figures with.
        holdout: (N, C, side, side) uint8, photographs never trained on; M at least N.
        training: (K, C, side, side) uint8, photographs trained on.
    """
    spaces: dict[str, type[TextureFeatures] | type[LayoutFeatures]] = {
        "texture": TextureFeatures,
        "layout": LayoutFeatures,
    }
    channels = images.shape[1]
    distances: dict[str, list[float]] = {}
    density: dict[str, float] = {}
    coverage: dict[str, float] = {}
    for name, space in spaces.items():
        compared = [_compared(space(channels, seed), images, holdout, training) for seed in SEEDS]
        distances[name] = [mmd_poly(real, fake) for real, fake in compared]
        density[name], coverage[name] = _density_and_coverage(compared)
    return Quality(
        mmd_poly=distances,
        density=density,
        coverage=coverage,
        spectrum_decades=spectrum_distance(holdout, images),
        histogram_levels=histogram_distance(holdout, images),
        nearest_distance=nearest_distances(images, training)[:, 0].mean().item(),
        authenticity=authenticity(images, training),
        memorization_rate=memorization_rate(images, training, min_nn_ratio(training, holdout)),
    )


def coverage_in(space: Features, images: Tensor, holdout: Tensor, training: Tensor) -> float:
    """Coverage of the holdout by images in one space, as `measure` has it in its own; for the arguments see there."""
    return _density_and_coverage([_compared(space, images, holdout, training)])[1]


def _compared(space: Features, images: Tensor, holdout: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """Features of the holdout and of the images, standardised by the training photographs."""
    known = space(training)
    return standardised(space(holdout), known), standardised(space(images), known)


def _density_and_coverage(compared: Sequence[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Means over the spaces and over random subsets of as many images as photographs."""
    random = torch.Generator().manual_seed(0)
    figures = []
    for real, fake in compared:
        for _ in range(SUBSETS):
            subset = torch.randperm(len(fake), generator=random)[: len(real)]
            figures.append(density_and_coverage(real, fake[subset]))
    return fmean(density for density, _ in figures), fmean(coverage for _, coverage in figures)
