"""The stage of a report that looks for copies of training photographs among the samples."""

from collections.abc import Iterator

import torch
from torch import Tensor

from flawsmith.core.domain.quality_report import NearPair
from flawsmith.models.quality.nearest_photographs import (
    CopyFigures,
    Nearest,
    copy_figures,
    nearest_among,
    nearest_photographs,
    turned,
)
from flawsmith.worker.reports.analysis import CopyAnalysis, CopyShares, PairPicture, TypeCopies
from flawsmith.worker.reports.material import FIRST_SEED, Material
from flawsmith.worker.reports.pictures import sheet

PAIRS = 12  # the nearest ones, and as many random ones
FEWEST = 3  # photographs of a type that can be compared with one another


def copy_stage(material: Material) -> Iterator[CopyAnalysis]:
    """What was found of the types so far; the last one is of all types."""
    types: list[TypeCopies] = []
    found: list[tuple[float, int, int, int, int]] = []  # distance, type, sample, photograph, symmetry
    for index, name in enumerate(material.classes):
        if len(material.training(index)) >= FEWEST:
            nearest, figures = _of_type(material, index, name)
            types.append(figures)
            columns = nearest.distance.tolist(), nearest.which.tolist(), nearest.symmetry.tolist()
            found += [
                (d, index, sample, which, turn) for sample, (d, which, turn) in enumerate(zip(*columns, strict=True))
            ]
        yield CopyAnalysis(types=types, worst=[], random=[])
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))[:PAIRS].tolist()
    yield CopyAnalysis(
        types=types,
        worst=[_picture(material, *each) for each in sorted(found)[:PAIRS]],
        random=[_picture(material, *found[each]) for each in order],
    )


def _of_type(material: Material, index: int, name: str) -> tuple[Nearest, TypeCopies]:
    training, holdout = material.training(index), material.holdout(index)
    nearest, among = nearest_photographs(material.samples(index), training), nearest_among(training)
    genuine = nearest_photographs(holdout, training) if len(holdout) else among
    return nearest, TypeCopies(
        type=name,
        samples=_shares(copy_figures(nearest, among, genuine)),
        genuine=_shares(copy_figures(genuine, among, genuine)),
        distance=nearest.distance.median().item(),
        genuine_distance=genuine.distance.median().item(),
        n=len(nearest.distance),
        genuine_n=len(genuine.distance),
        held_out=len(holdout) > 0,
    )


def _shares(figures: CopyFigures) -> CopyShares:
    return CopyShares(**vars(figures))


def _picture(material: Material, distance: float, index: int, sample: int, which: int, symmetry: int) -> PairPicture:
    position = int(material.photographs.training(index)[which])
    ours = material.samples(index)[sample : sample + 1]
    photograph = turned(material.photographs.images[position : position + 1], symmetry)
    pair = NearPair(
        seed=FIRST_SEED + sample,
        defect_type=material.classes[index],
        file=material.photographs.files[position],
        distance=distance,
    )
    return PairPicture(pair=pair, png=sheet(torch.cat([ours, photograph, _difference(ours, photograph)]), 3))


def _difference(ours: Tensor, photograph: Tensor) -> Tensor:
    """Mid-gray where they are equal, brighter where the sample is brighter: (1, C, side, side) uint8."""
    return ((ours.float() - photograph.float()) / 2 + 128).round().clamp(0, 255).byte()
