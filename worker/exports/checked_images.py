"""Images of a version beside their labels, and why some of them must not be given out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import is_searched
from flawsmith.core.domain.image_modes import CHANNELS, without_gray_axis
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.reference_photographs import ReferenceCache
from flawsmith.core.store.registry import Registry
from flawsmith.worker.attribute_search import search
from flawsmith.worker.image_scores import PublishedScore
from flawsmith.worker.published_labels import FoundLabels
from flawsmith.worker.version_sampler import load_labeller, load_sampler, unusable_if_unfit

TOO_SIMILAR, BELOW_FLOOR, WITHDRAWN = "too_similar", "below_floor", "withdrawn"
DOUBTFUL_LABELS = "doubtful_labels"
OTHER_ATTRIBUTES = "other_attributes"


class NoReferences(Exception):
    """The version has no reference photographs to compare images with."""


@dataclass(frozen=True)
class CheckedImage:
    """The image at an address.

    Attributes:
        address: of the image.
        pixels: (H, W, C) uint8, those that the service gives for the address.
        labels: None where the version has none.
        reason: why it must be left out; None: it need not.
    """

    address: Address
    pixels: NDArray[np.uint8]
    labels: FoundLabels | None
    reason: str | None


class CheckedImages:
    """Samples images of a version by their addresses.

    Args:
        version: to sample.
        registry: where it is.
        device: where to sample.
        floor: the lowest score of an image; None: any.
        max_similarity: to a training photograph, at most; None: any.

    Raises:
        UnknownModel: the version was deleted.
        NoReferences: ``max_similarity`` is set, and there are no photographs to compare with.
        FileNotFoundError: ``floor`` is set, and the version has nothing to score images with.
    """

    def __init__(
        self,
        version: ModelVersion,
        registry: Registry,
        device: torch.device,
        *,
        floor: float | None = None,
        max_similarity: float | None = None,
    ) -> None:
        self.version, self.floor, self.max_similarity, self._registry = version, floor, max_similarity, registry
        self._generator = load_sampler(version, registry, device)
        folder = registry.folder(version)
        self._labels = load_labeller(version, registry, device, self._generator) if version.labels else None
        with unusable_if_unfit(version):
            self._score = PublishedScore(folder, CHANNELS[version.mode]) if floor is not None else None
        self._references = ReferenceCache().load(folder) if max_similarity is not None else None
        if self._references is None and max_similarity is not None:
            raise NoReferences(
                f"the photographs that {version.ref} was trained on were deleted, and images cannot be compared with "
                "them; export again without 'max_similarity', or train the model again on its photographs"
            )

    @property
    def is_filtered(self) -> bool:
        """Whether images may be left out for what they show."""
        return any(each is not None for each in (self._score, self._references, self._labels))

    def __call__(self, addresses: Sequence[Address]) -> list[CheckedImage]:
        """The images at up to `MICRO_BATCH` addresses, of one pass."""
        pixels, candidates = self._sampled(addresses)
        reasons = self._reasons(addresses, pixels)
        for number, candidate in enumerate(candidates or ()):
            if candidate is None:
                reasons[number] = OTHER_ATTRIBUTES
        labels: Sequence[FoundLabels | None] = [None] * len(addresses)
        if self._labels is not None:
            labels = self._labels(addresses, None if candidates is None else [each or 0 for each in candidates])
        withdrawn, found = self._registry.withdrawn(self.version), []
        for address, picture, label, reason in zip(addresses, pixels, labels, reasons, strict=True):
            if address.plain in withdrawn:
                reason = WITHDRAWN
            if label and not label.plausible:
                reason = reason or DOUBTFUL_LABELS
            found.append(CheckedImage(address, picture, label, reason))
        return found

    def _sampled(self, addresses: Sequence[Address]) -> tuple[NDArray[np.uint8], list[int | None] | None]:
        """(B, H, W, C) uint8 images, and which candidate each is, None where no candidate has the attributes.

        No candidates without measured attributes, which all addresses have or none.
        """
        if not is_searched(addresses[0].attributes):
            return self._generator.sample_batch(addresses), None
        found = search(self._generator.sample_batch, addresses)
        blank = np.zeros((self.version.resolution,) * 2 + (CHANNELS[self.version.mode],), np.uint8)
        pixels = np.stack([blank if each.pixels is None else each.pixels for each in found])
        return pixels, [None if each.pixels is None else each.candidate for each in found]

    def _reasons(self, addresses: Sequence[Address], pixels: NDArray[np.uint8]) -> list[str | None]:
        """Why each of (B, H, W, C) images must be left out for what it shows; None: it need not."""
        reasons: list[str | None] = [None] * len(addresses)
        if self._references is not None and self.max_similarity is not None:
            pictures, types = list(map(without_gray_axis, pixels)), [each.defect_type for each in addresses]
            for number, near in enumerate(self._references.nearest(pictures, types)):
                if near.similarity > self.max_similarity:
                    reasons[number] = TOO_SIMILAR
        if self._score is not None and self.floor is not None:
            for number, score in enumerate(self._score(addresses, pixels)):
                if score < self.floor:  # never of a type without a score
                    reasons[number] = BELOW_FLOOR
        return reasons
