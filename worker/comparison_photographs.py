"""What two versions are compared by: photographs of one data set, and both versions' samples made alike to them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from flawsmith.core.domain.crops import Crop, crop_of
from flawsmith.core.domain.image_modes import CHANNELS, mode_of
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import Squares, UnknownDataset
from flawsmith.models.quality.judged_photographs import FEWEST, FEWEST_HELD_OUT, JudgedPhotographs
from flawsmith.models.quality.judgement import Sampler
from flawsmith.worker.held_out import held_out_squares
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.verdict import sampler

FEWEST_OF_TYPE = 2
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow has it

Versions = tuple[ModelVersion, ModelVersion]


class NothingInCommon(Exception):
    """There is nothing by which two versions could be compared."""


@dataclass(frozen=True)
class ComparisonPhotographs:
    """The photographs by which two versions are compared.

    Attributes:
        judged: what no version was trained on is the holdout, where there is enough of it.
        trained_on_by: references of the versions that were trained on photographs that samples are compared with.
        same_training: whether both were trained on all of `judged.training`, so that copies of it mean the same.
        notes: what limits the comparison.
    """

    judged: JudgedPhotographs
    trained_on_by: list[str]
    same_training: bool
    notes: list[str]

    @property
    def side(self) -> int:
        return self.judged.training[0].shape[-1]

    @property
    def channels(self) -> int:
        return self.judged.training[0].shape[1]


def load_comparison_photographs(versions: Versions, dataset_id: str, services: Services) -> ComparisonPhotographs:
    """Loads them at the smaller resolution of both versions, cut as for the newer one, gray where one of them is gray.

    Raises:
        UnknownDataset: there is no such data set any more.
        NothingInCommon: it has no two photographs of a type that both versions make.
    """
    side = min(each.resolution for each in versions)
    newer = max(versions, key=lambda each: each.version)
    crop, native_side = crop_of(newer.config), newer.resolution
    squares = services.datasets.load(dataset_id, side, crop, native_side)
    masks = services.datasets.load_masks(dataset_id, side, crop, native_side)
    images = as_tensor(squares.pixels)
    channels = min(images.shape[1], *(CHANNELS[each.mode] for each in versions))
    trained = [trained_on(each, side, crop, native_side, services) for each in versions]
    keys = [_key(each) for each in images]
    seen = [torch.tensor([key in (known or ()) for key in keys]) for known in trained]
    types = _types(versions, squares, seen[0] | seen[1])
    lesson = torch.cat([training for _, training, _ in types])
    compared = torch.cat([holdout if len(holdout) else training for _, training, holdout in types])
    return ComparisonPhotographs(
        judged=_judged(types, fitted(images, side, channels), masks),
        trained_on_by=[each.ref for each, by in zip(versions, seen, strict=True) if by[compared].any()],
        same_training=all(bool(by[lesson].all()) for by in seen),
        notes=_notes(versions, [name for name, _, _ in types], side, channels, trained),
    )


def _types(versions: Versions, squares: Squares, seen: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    """The common types, each with the positions of its photographs as `split` gives them. Raises NothingInCommon."""
    type_index, photograph = torch.from_numpy(squares.type_index), torch.from_numpy(squares.photograph)
    found = []
    for name in versions[0].classes:
        if name in versions[1].classes and name in squares.classes:
            positions = (type_index == squares.classes.index(name)).nonzero().squeeze(1)
            if len(positions) >= FEWEST_OF_TYPE:
                found.append((name, *split(positions, seen, photograph)))
    if not found:
        raise NothingInCommon(f"the data set has no {FEWEST_OF_TYPE} photographs of a type that both versions make")
    return found


def _judged(
    types: Sequence[tuple[str, Tensor, Tensor]], images: Tensor, masks: Sequence[NDArray[np.bool_] | None]
) -> JudgedPhotographs:
    def masks_of(positions: Tensor) -> list[Tensor | None]:
        return [None if (mask := masks[each]) is None else torch.from_numpy(mask) for each in positions.tolist()]

    return JudgedPhotographs(
        classes=[name for name, _, _ in types],
        training=[images[training] for _, training, _ in types],
        holdout=[images[holdout] for _, _, holdout in types],
        training_masks=[masks_of(training) for _, training, _ in types],
        holdout_masks=[masks_of(holdout) for _, _, holdout in types],
    )


def split(positions: Tensor, seen: Tensor, photograph: Tensor) -> tuple[Tensor, Tensor]:
    """Photographs of one type to learn features from, and those to compare samples with.

    The latter are photographs that no version was trained on, where there are enough of them; else they are none, and
    all photographs serve for both, in halves.

    Args:
        positions: of the type's photographs, (P,) int64.
        seen: which of all photographs a version was trained on, (N,) bool.
        photograph: (N,) int64, equal for the squares of one photograph, which are all on one side.
    """
    known, unseen = positions[seen[positions]], positions[~seen[positions]]
    lacking = _whole(photograph[unseen], min(len(positions) // 2, FEWEST) - len(known))  # photographs to learn from
    if len(unseen) - lacking < FEWEST_HELD_OUT:
        lacking = _whole(photograph[unseen], FEWEST_OF_TYPE - len(known))
    if len(unseen) - lacking < FEWEST_HELD_OUT:
        return positions, positions[:0]
    return torch.cat([known, unseen[:lacking]]), unseen[lacking:]


def _whole(photograph: Tensor, count: int) -> int:
    """How many squares are at least so many of the first ones, with all of each photograph; they stand in its order."""
    if count <= 0 or count >= len(photograph):
        return min(max(0, count), len(photograph))
    return int((photograph == photograph[count - 1]).nonzero().max()) + 1


def trained_on(version: ModelVersion, side: int, crop: Crop, native_side: int, services: Services) -> set[bytes] | None:
    """Keys of the squares of all photographs that a version was trained on; None where they were deleted.

    A key depends on the gray values alone: the same photograph has the same key in another data set.
    """
    try:
        own = services.datasets.of_digest(version.dataset_digest)
    except UnknownDataset:
        return None
    squares = services.datasets.load(own.id, version.resolution, crop_of(version.config))
    spared = held_out_squares(version.preset, version.config, squares, own.id, services)
    images = as_tensor(squares.pixels)
    photographs = set(squares.photograph[~spared.numpy()].tolist())
    if (version.resolution, crop_of(version.config)) != (side, crop) or native_side != side:
        squares = services.datasets.load(own.id, side, crop, native_side)
        images = as_tensor(squares.pixels)
    return {
        _key(image) for image, number in zip(images, squares.photograph.tolist(), strict=True) if number in photographs
    }


def comparison_sampler(generator: ImageSampler, photographs: ComparisonPhotographs) -> Sampler:
    """Samples of the compared types, as they are served, then made like the photographs in size and mode."""
    draw = sampler(generator)
    types = [generator.classes.index(each) for each in photographs.judged.classes]

    def sample(each_type: int, seed: int, count: int) -> Tensor:
        return fitted(draw(types[each_type], seed, count), photographs.side, photographs.channels)

    return sample


def fitted(images: Tensor, side: int, channels: int) -> Tensor:
    """(N, C, H, W) uint8 images, gray where one channel is wanted, scaled with an antialiasing filter."""
    if channels < images.shape[1]:
        images = _gray(images)
    if images.shape[-1] == side:
        return images
    scaled = interpolate(images.float(), (side, side), mode="bilinear", antialias=True, align_corners=False)
    return scaled.round().clamp(0, 255).to(torch.uint8)


def as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """(N, H, W, C) -> (N, C, H, W)."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def _gray(images: Tensor) -> Tensor:
    weights = torch.tensor(LUMA).view(1, 3, 1, 1)
    return (images.float() * weights).sum(1, keepdim=True).round().clamp(0, 255).to(torch.uint8)


def _key(image: Tensor) -> bytes:
    gray = image if image.shape[0] == 1 else _gray(image[None])[0]
    return hashlib.sha256(gray.numpy().tobytes()).digest()


def _notes(
    versions: Versions, classes: Sequence[str], side: int, channels: int, trained: Sequence[set[bytes] | None]
) -> list[str]:
    found = [
        f"the photographs of {each.ref} were deleted: whether it was trained on these is not known"
        for each, known in zip(versions, trained, strict=True)
        if known is None
    ]
    larger = [each.ref for each in versions if each.resolution > side]
    if larger:
        found.append(f"compared at {side} px: images of {larger[0]} were scaled down")
    if coloured := [each.ref for each in versions if CHANNELS[each.mode] > channels]:
        found.append(f"compared in mode {mode_of(channels)}: images of {' and '.join(coloured)} were turned to gray")
    missing = [(each.ref, ", ".join(name for name in each.classes if name not in classes)) for each in versions]
    return found + [f"not compared, of {ref}: {names}" for ref, names in missing if names]
