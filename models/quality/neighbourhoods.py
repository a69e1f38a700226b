"""Density, coverage and kernel distance of samples, beside photographs and photographs made worse."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from flawsmith.models.quality.random_features import LayoutFeatures, TextureFeatures, standardised
from flawsmith.models.quality.two_sample import NEIGHBOURS, density_and_coverage, mmd_poly

DRAWS = 20  # random subsets, as large as the reference set
LEAST = 2 * NEIGHBOURS  # photographs on either side

BETTER: dict[str, Literal["lower", "higher"]] = {"density": "higher", "coverage": "higher", "mmd_poly": "lower"}


@dataclass(frozen=True)
class NeighbourhoodFigure:
    """One figure: the mean over the draws, and for the samples the range of 95 % of them; see `MeasureResult`."""

    name: str
    value: float
    photographs: float
    controls: dict[str, float]
    interval: tuple[float, float]
    n: int


def neighbourhood_figures(
    samples: Tensor, training: Tensor, holdout: Tensor, controls: Mapping[str, Tensor]
) -> list[NeighbourhoodFigure]:
    """Compares samples with photographs in features of untrained convolutions; the same images give the same figures.

    The reference is the holdout; where that is smaller than `LEAST`, a random half of the training photographs, and the
    photographs' own figures are those of the other half. Both sides have as many images (see `density_and_coverage`).

    Args:
        samples: (M, C, side, side) uint8; fewer than there are reference photographs give no figure.
        training, holdout: (N, C, side, side), (K, C, side, side) uint8, of one type.
        controls: photographs made worse, by what was done to them, as many as samples.

    Returns:
        A figure for each of `BETTER`; none where the photographs are fewer than twice `LEAST`.
    """
    random = torch.Generator().manual_seed(0)
    reference, others = holdout, training
    if len(holdout) < LEAST:
        halves = torch.randperm(len(training), generator=random).chunk(2)
        if len(training) < 2 * LEAST:
            return []
        reference, others = (training[each] for each in halves)
    reference = reference[: len(others)]  # an odd half, or squares of few photographs, can be more
    if len(reference) < LEAST:
        return []
    features = _Features(training)
    real = features(reference)
    sets = {"samples": samples, "photographs": others, **controls}
    drawn = {name: _drawn(real, features(each), random) for name, each in sets.items() if len(each) >= len(real)}
    if "samples" not in drawn:
        return []
    return [_figure(column, name, drawn, len(real)) for column, name in enumerate(BETTER)]


class _Features:
    """Texture and layout features side by side: (N, D) float32 in which each space has equal weight and variance 1."""

    def __init__(self, known: Tensor) -> None:
        self._spaces = [(space, space(known)) for space in _spaces(known.shape[1])]

    def __call__(self, images: Tensor) -> Tensor:
        found = [standardised(space(images), known) for space, known in self._spaces]
        size = sum(each.shape[1] for each in found)
        return torch.cat([each * (size / (len(found) * each.shape[1])) ** 0.5 for each in found], 1)


def _spaces(channels: int) -> list[TextureFeatures | LayoutFeatures]:
    return [TextureFeatures(channels, 0), LayoutFeatures(channels, 0)]


def _drawn(real: Tensor, features: Tensor, random: torch.Generator) -> Tensor:
    """Density, coverage and kernel distance of `DRAWS` random subsets as large as ``real``: (DRAWS, 3)."""
    rows = []
    for _ in range(DRAWS):
        subset = features[torch.randperm(len(features), generator=random)[: len(real)]]
        rows.append((*density_and_coverage(real, subset), mmd_poly(real, subset)))
    return torch.tensor(rows)


def _figure(column: int, name: str, drawn: Mapping[str, Tensor], n: int) -> NeighbourhoodFigure:
    means = {each: rows[:, column].mean().item() for each, rows in drawn.items()}
    low, high = drawn["samples"][:, column].quantile(torch.tensor([0.025, 0.975])).tolist()
    controls = {each: mean for each, mean in means.items() if each not in ("samples", "photographs")}
    return NeighbourhoodFigure(name, means["samples"], means["photographs"], controls, (low, high), n)
