"""What a version's label network learns from: masks of its images, or annotated photographs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flawsmith.core.domain.addresses import Address, seeded
from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.datasets.outlines import decoded
from flawsmith.models.labels.classifier import PixelClassifier
from flawsmith.models.labels.features import FeatureMaps
from flawsmith.models.labels.masks import Mask, mask_of, plausible_ranges
from flawsmith.models.labels.photograph_labels import AnnotatedPhotographs, learned_segmenter
from flawsmith.models.labels.segmenter import Segmenter
from flawsmith.models.labels.training import LabelledImages, train_label_network
from flawsmith.models.quality.steps import Steps
from flawsmith.worker.published_labels import inputs_of

SEED = 0  # of everything random: the same version and labels give the same label network
LOOKED_AT = 32  # images of the version that a segmenter labels, …
FEWEST = 4  # … of which so many must have a plausible mask
Ranges = dict[str, dict[str, tuple[float, float]]]


class CannotLabel(Exception):
    """There is nothing to learn labels from; the message says what would be right."""


@dataclass(frozen=True)
class Learned:
    """A label network, and what it learned from.

    Attributes:
        network: a `PixelClassifier` or a `Segmenter`.
        ranges: by type, from where to where a mask is plausible: see `plausible_ranges`.
        masks, boxes: how many a person made.
        agreement: see `Labelling`.
    """

    network: PixelClassifier | Segmenter
    ranges: Ranges
    masks: int = 0
    boxes: int = 0
    agreement: float | None = None


def from_masks(version: ModelVersion, maps: FeatureMaps, masks: Sequence[Mapping[str, Any]]) -> Steps[Learned]:
    """Learns from masks of the version's images: ``seed``, ``defect_type`` and the ``runs`` of each.

    Raises:
        CannotLabel: the preset shows no feature maps.
    """
    if not maps.widths:
        raise CannotLabel(
            f"the preset '{version.preset}' shows no feature maps of its images, from which masks could be learned; "
            "annotate the photographs of its data set instead"
        )
    addresses = [Address(each["defect_type"], each["seed"]) for each in masks]
    side = version.resolution
    drawn = [decoded(each["runs"], (side, side)) for each in masks]
    images, found, types = yield from _made(version, maps, addresses)
    labelled = LabelledImages(images, found, types, torch.from_numpy(np.stack(drawn)).float())
    network = yield from train_label_network(labelled, len(version.classes), SEED)
    ranges = ranges_by_type(version.classes, drawn, [each.defect_type for each in addresses])
    return Learned(network, ranges, masks=len(masks))


def from_photographs(version: ModelVersion, maps: FeatureMaps, services: Services, *, boxes: bool) -> Steps[Learned]:
    """Learns from the annotations of the version's photographs; with ``boxes``, what is in a box is the defect.

    Raises:
        UnknownDataset: the photographs were deleted.
        CannotLabel: they have no such annotations, or the version's images do not show such defects.
    """
    dataset, crop = services.datasets.of_digest(version.dataset_digest), crop_of(version.config)
    squares = services.datasets.load(dataset.id, version.resolution, crop)
    targets = services.datasets.load_targets(dataset.id, version.resolution, crop, boxes=boxes)
    known = {number: each for number, each in enumerate(targets) if each is not None}
    yield
    if not any(each.any() for each in known.values()):
        kind = "boxes" if boxes else "masks"
        raise CannotLabel(f"no square of the photographs of {version.ref} shows a defect with {kind}; send 'masks'")
    members, masks = list(known), np.stack(list(known.values()))
    photographs = AnnotatedPhotographs(
        torch.from_numpy(squares.pixels[members]).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(masks),
        torch.from_numpy(squares.photograph[members]),
    )
    segmenter, agreement = yield from learned_segmenter(photographs, SEED)
    names = [squares.classes[each] for each in squares.type_index[members]]
    ranges = ranges_by_type(version.classes, list(masks), names)
    yield from _check_samples(version, maps, segmenter, ranges)
    stored = [each.annotations for each in services.datasets.photographs(dataset.id)]
    counts = {"boxes": sum(len(each.defects) for each in stored)}
    if not boxes:
        counts = {"masks": sum(each.mask() is not None for each in stored)}
    return Learned(segmenter, ranges, agreement=agreement, **counts)


def _check_samples(version: ModelVersion, maps: FeatureMaps, segmenter: Segmenter, ranges: Ranges) -> Steps[None]:
    """Raises CannotLabel where the version's images hardly ever show a defect like the annotated ones."""
    addresses = seeded(version.classes, None, 0, LOOKED_AT)
    images, _, _ = yield from _made(version, maps, addresses)
    pairs = zip(segmenter.probabilities(images).numpy(), addresses, strict=True)
    plausible = sum(mask_of(each, ranges[at.defect_type])[1] for each, at in pairs)
    if plausible < FEWEST:
        raise CannotLabel(
            f"only {plausible} of {LOOKED_AT} images of {version.ref} show a defect of the annotated ones' size and "
            "shape; send 'masks' of its images, or train it longer"
        )


def ranges_by_type(classes: Sequence[str], masks: Sequence[Mask], types: Sequence[str]) -> Ranges:
    """By type, from where to where a mask is plausible; a type without masks has the ranges of all types together."""
    ranges = {}
    for name in classes:
        own = [mask for mask, each in zip(masks, types, strict=True) if each == name and mask.any()]
        ranges[name] = plausible_ranges(own or masks)
    return ranges


def _made(
    version: ModelVersion, maps: FeatureMaps, addresses: Sequence[Address]
) -> Steps[tuple[Tensor, list[Tensor], Tensor]]:
    """The images at addresses, their feature maps and types."""
    images, found, types = list[Tensor](), list[list[Tensor]](), list[Tensor]()
    for start in range(0, len(addresses), MICRO_BATCH):
        inputs = inputs_of(version, addresses[start : start + MICRO_BATCH], None, maps.network.latent_size)
        made, its_maps = maps(*inputs)
        images.append(made)
        found.append(its_maps)
        types.append(inputs[1])
        yield
    return torch.cat(images), [torch.cat(each) for each in zip(*found, strict=True)], torch.cat(types)
