"""The stage of a report that looks for copies of training photographs among the samples."""

from collections.abc import Iterator

import torch
from torch import Tensor

from flawsmith.core.domain.quality_report import NearPair
from flawsmith.core.store.reference_photographs import ReferencePhotographs
from flawsmith.models.quality.nearest_photographs import CopyFigures, Nearest, copy_figures, turned
from flawsmith.worker.references import pixels_of, to_nearest
from flawsmith.worker.reports.analysis import CopyAnalysis, CopyShares, PairPicture, TypeCopies
from flawsmith.worker.reports.material import FIRST_SEED, Material
from flawsmith.worker.reports.pictures import sheet

PAIRS = 12  # the nearest ones, and as many random ones
FEWEST = 3  # photographs of a type that can be compared with one another


def copy_stage(material: Material) -> Iterator[CopyAnalysis]:
    """What was found of the types so far; the last one is of all types."""
    types: list[TypeCopies] = []
    found: list[tuple[float, int, int, int, int]] = []  # distance, type, sample, photograph, symmetry
    search = _Search(material)
    yield CopyAnalysis(types=[], worst=[], random=[])
    for index in range(len(material.classes)):
        search.compare_among(index)
        yield CopyAnalysis(types=[], worst=[], random=[])
    for index, name in enumerate(material.classes):
        if len(material.training(index)) >= FEWEST:
            nearest, figures = search.of_type(index, name)
            types.append(figures)
            columns = nearest.distance.tolist(), nearest.which.tolist(), nearest.symmetry.tolist()
            found += [
                (d, index, sample, which, turn) for sample, (d, which, turn) in enumerate(zip(*columns, strict=True))
            ]
        yield CopyAnalysis(types=types, worst=[], random=[])
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))[:PAIRS].tolist()
    yield CopyAnalysis(
        types=types,
        worst=[search.picture(*each) for each in sorted(found)[:PAIRS]],
        random=[search.picture(*found[each]) for each in order],
    )


class _Search:
    """Samples beside all photographs that the version was trained on, by the measure of ``max_similarity``."""

    def __init__(self, material: Material) -> None:
        self._material = material
        photographs = material.photographs
        self._trained_on = (~photographs.held_out).nonzero().squeeze(1)
        files = [photographs.files[each] for each in self._trained_on.tolist()]
        pixels = pixels_of(photographs.images[self._trained_on])
        self._references = ReferencePhotographs.unscaled(pixels, photographs.classes, files)
        self._type_index = photographs.type_index[self._trained_on]
        count = len(self._trained_on)
        zeros = torch.zeros(count, dtype=torch.int64)
        self._among = Nearest(torch.zeros(count), torch.zeros(count), zeros, zeros.clone())

    def compare_among(self, index: int) -> None:
        """Finds the nearest other photograph of each photograph of a type."""
        members = self._members(index)
        if len(self._trained_on) > 1 and len(members):
            found = to_nearest(self._references.matches_among(members.numpy()))
            for name, values in vars(found).items():
                getattr(self._among, name)[members] = values

    def of_type(self, index: int, name: str) -> tuple[Nearest, TypeCopies]:
        """Samples of a type, beside photographs of the type; all types were compared among one another before."""
        holdout, members = self._material.holdout(index), self._members(index)
        nearest = self._nearest(self._material.samples(index))
        own = Nearest(**{each: values[members] for each, values in vars(self._among).items()})
        genuine = self._nearest(holdout) if len(holdout) else own
        return nearest, TypeCopies(
            type=name,
            samples=_shares(copy_figures(nearest, self._among, genuine)),
            genuine=_shares(copy_figures(genuine, self._among, genuine)),
            distance=nearest.distance.median().item(),
            genuine_distance=genuine.distance.median().item(),
            n=len(nearest.distance),
            genuine_n=len(genuine.distance),
            held_out=len(holdout) > 0,
        )

    def picture(self, distance: float, index: int, sample: int, which: int, symmetry: int) -> PairPicture:
        """A sample beside its nearest photograph."""
        material, position = self._material, int(self._trained_on[which])
        ours = material.samples(index)[sample : sample + 1]
        photograph = turned(material.photographs.images[position : position + 1], symmetry)
        pair = NearPair(
            seed=FIRST_SEED + sample,
            defect_type=material.classes[index],
            file=material.photographs.files[position],
            distance=distance,
        )
        return PairPicture(pair=pair, png=sheet(torch.cat([ours, photograph, _difference(ours, photograph)]), 3))

    def _members(self, index: int) -> Tensor:
        return (self._type_index == index).nonzero().squeeze(1)

    def _nearest(self, images: Tensor) -> Nearest:
        return to_nearest(self._references.matches(list(pixels_of(images))))


def _shares(figures: CopyFigures) -> CopyShares:
    return CopyShares(**vars(figures))


def _difference(ours: Tensor, photograph: Tensor) -> Tensor:
    """Mid-gray where they are equal, brighter where the sample is brighter: (1, C, side, side) uint8."""
    return ((ours.float() - photograph.float()) / 2 + 128).round().clamp(0, 255).byte()
