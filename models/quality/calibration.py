"""How far a set of images is from photographs, beside how far photographs and their controls are: one feature space.

All distances are energy distances between sets of the same sizes, over the same random splits of the photographs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import torch
from torch import Tensor

SPLITS = 20
MISRANKED = 1 / 20  # share of the splits in which a control may be no farther than photographs

Split = tuple[Tensor, Tensor]
"""Positions of the photographs that are the reference, and of the others, (A,) and (B,) int64."""


def random_splits(count: int, reference: int, seed: int = 0, splits: int = SPLITS) -> list[Split]:
    """Random splits of so many photographs, with so many in the reference."""
    random = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(count, generator=random) for _ in range(splits)]
    return [(order[:reference], order[reference:]) for order in orders]


@dataclass(frozen=True)
class Scale:
    """Energy distances to photographs, one for each split.

    Attributes:
        photographs: of other photographs.
        controls: of photographs made worse, by what was done; each from other photographs than the reference.
    """

    photographs: Tensor
    controls: Mapping[str, Tensor]

    @property
    def usual(self) -> float:
        """Of photographs: the mean over the splits."""
        return self.photographs.mean().item()

    @property
    def most(self) -> float:
        """The largest distance that photographs have, as far as the splits show: two spreads above the mean."""
        return self.usual + 2 * self.spread

    @property
    def spread(self) -> float:
        """Of photographs: the standard deviation over the splits."""
        return max(self.photographs.std().item(), 1e-9)

    def z(self, distance: float) -> float:
        """The distance in units of the photographs' spread, from their mean."""
        return (distance - self.usual) / self.spread

    def sees(self, control: str) -> bool:
        """Whether photographs come before the control: in nearly every split, and beyond their own spread."""
        misranked = int((self.controls[control] <= self.photographs).sum())
        return misranked <= MISRANKED * len(self.photographs) and self.controls[control].mean().item() > self.most


def scale_of(
    photographs: Tensor,
    controls: Mapping[str, Tensor],
    splits: Sequence[Split],
    kept: Mapping[str, Tensor] | None = None,
) -> Scale:
    """The scale in one feature space.

    Args:
        photographs: (N, D) features.
        controls: features of the photographs made worse, (N, D) each; row i is made from photograph i.
        splits: of the N photographs.
        kept: controls that are a choice of photographs: which ones, (N,) bool.
    """
    among = torch.cdist(photographs, photographs)
    own = torch.stack([_energy(among, among, among, a, b) for a, b in splits])
    found = {}
    for name, worse in controls.items():
        across, within = torch.cdist(photographs, worse), torch.cdist(worse, worse)
        found[name] = torch.stack([_energy(among, across, within, a, b) for a, b in splits])
    for name, chosen in (kept or {}).items():
        found[name] = torch.stack([_energy(among, among, among, a, b[chosen[b]]) for a, b in splits])
    return Scale(own, found)


def distances_of(reference: Tensor, samples: Tensor, splits: Sequence[Split]) -> Tensor:
    """Energy distances of samples to the references of the splits, (S,) float32.

    Args:
        reference: (N, D) features of photographs.
        samples: (M, D).
        splits: of the N photographs; of the samples a random choice, as many as the others of the split, is compared.
    """
    among, across, within = (
        torch.cdist(*pair) for pair in ((reference, reference), (reference, samples), (samples, samples))
    )
    random = torch.Generator().manual_seed(0)
    found = []
    for a, b in splits:
        chosen = torch.randperm(len(samples), generator=random)[: max(2, min(len(b), len(samples)))]
        found.append(_energy(among, across, within, a, chosen))
    return torch.stack(found)


def energy_distance_z(photographs: Tensor, others: Tensor, splits: int = SPLITS) -> float:
    """Energy distance of two sets in units of its own spread over random splits; 0: cannot be told apart.

    Half of the photographs is compared with the other half, and with what became of the other half.

    Args:
        photographs: (N, D) features, N > 3.
        others: (N, D) features; row i is made from photograph i.
    """
    chosen = random_splits(len(photographs), len(photographs) // 2, splits=splits)
    scale = scale_of(photographs, {"others": others}, chosen)
    return scale.z(scale.controls["others"].mean().item())


def interval_of(values: Sequence[float]) -> tuple[float, float]:
    """Mean of the values, two of their spreads to either side."""
    spread = 2 * stdev(values) if len(values) > 1 else math.nan
    return fmean(values) - spread, fmean(values) + spread


def _energy(among: Tensor, across: Tensor, within: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The unbiased energy distance of photographs `rows` and images `columns`, from matrices of distances."""
    cross = across[rows[:, None], columns].mean()
    return 2 * cross - _mean_of_pairs(among, rows) - _mean_of_pairs(within, columns)


def _mean_of_pairs(distances: Tensor, members: Tensor) -> Tensor:
    count = len(members)
    chosen = distances[members[:, None], members]
    return (chosen.sum() - chosen.trace()) / max(1, count * (count - 1))
