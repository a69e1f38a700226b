"""The defects of a version's images, at the scale of the photographs that it was trained on."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.digital_source_type import DigitalSourceType
from flawsmith.core.domain.image_modes import without_gray_axis
from flawsmith.core.domain.image_paths import image_path
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import ModelVersion
from flawsmith.models.compositions import Patch, annotated_patches, defects_of, is_cut, mask_in_boxes
from flawsmith.models.compositions.parts import Box, Mask, Pixels
from flawsmith.worker.compositions.defects import BLOCK, FEWEST_WHOLE, MOST_BYTES, CannotPlace, DefectSource
from flawsmith.worker.exports.checked_images import CheckedImage, CheckedImages
from flawsmith.worker.published_labels import FoundLabels

IMAGES = 256  # of a library, all types together, where each has at least a micro-batch
HALF_MARKED = 128  # of 255: a pixel of a scaled mask counts from half its area on


class GeneratedDefects(DefectSource):
    """The defects of a labelled version's images.

    The library of a block shows images whose seeds are the block's: number ``b`` has those of the seeds ``256 b`` to
    ``256 b + 255`` of each type, until it has enough of them.

    Args:
        images: of the version, with its labels.
        types: that are asked for.
        scale: pixels of a photograph for one of an image.
    """

    source_type: ClassVar[DigitalSourceType] = "compositeWithTrainedAlgorithmicMedia"

    def __init__(self, images: CheckedImages, types: Sequence[str], scale: float) -> None:
        self.version, self.types, self.scale = images.version, types, scale
        self.title = self.version.ref
        self._images, self._enough = images, max(MICRO_BATCH, IMAGES // len(types))

    def patches(self, block: int) -> Iterator[list[Patch]]:
        """Those of one pass with each step, less what waits until its type is over. Raises CannotPlace."""
        for defect_type in self.types:
            found = _Found(MOST_BYTES // len(self.types))
            for first in range(block * BLOCK, (block + 1) * BLOCK, MICRO_BATCH):
                addresses = [Address(defect_type, seed) for seed in range(first, first + MICRO_BATCH)]
                for image in self._images(addresses):
                    if image.reason:
                        found.left_out[image.reason] = found.left_out.get(image.reason, 0) + 1
                    elif found.images < self._enough and not found.is_full:
                        found.add(self._patches_of(image))
                yield []
                if found.images == self._enough or found.is_full:
                    break
            if not found.chosen:
                raise CannotPlace(_none_of(self.version, defect_type, found.left_out))
            yield found.chosen

    def describe(self, source: str) -> dict[str, Any]:
        """Version, type, seed and URL of the image, the defect's box in it, and how its mask was found."""
        described: dict[str, Any] = json.loads(source)
        return described

    def _patches_of(self, image: CheckedImage) -> list[Patch]:
        pixels = without_gray_axis(image.pixels)
        assert image.labels
        mask = image.labels.mask if self.version.labels == "mask" else _mask_in(pixels, image.labels)
        pixels, mask = _scaled(pixels, mask, self.scale)
        defects = defects_of(mask)
        marked = [(image.address.defect_type, box, own) for box, own in defects]
        return [
            replace(patch, source=self._source(image.address, box))
            for patch, (box, _) in zip(annotated_patches(pixels, marked, ""), defects, strict=True)
        ]

    def _source(self, address: Address, box: Box) -> str:
        """What `describe` says of a defect, as a patch can carry it; ``box`` is in pixels of the photographs."""
        (left, right), (top, bottom) = (
            (floor(start / self.scale), min(self.version.resolution, ceil((start + length) / self.scale)))
            for start, length in ((box[0], box[2]), (box[1], box[3]))
        )
        return json.dumps(
            {
                "model": self.version.ref,
                "seed": address.seed,
                "defect_type": address.defect_type,
                "url": image_path(self.version, address),
                "box": [left, top, right - left, bottom - top],
                "mask": "learned" if self.version.labels == "mask" else "found in its box",
            }
        )


@dataclass
class _Found:
    """The patches of a type in a block.

    Attributes:
        most_bytes: that they may take.
        images: that show a whole defect.
        left_out: how many images were, by the reason.
    """

    most_bytes: int
    images: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    _whole: list[Patch] = field(default_factory=list)
    _cut: list[Patch] = field(default_factory=list)
    _bytes: int = 0

    @property
    def is_full(self) -> bool:
        return self._bytes > self.most_bytes

    @property
    def chosen(self) -> list[Patch]:
        """The whole ones where they are enough, else all."""
        return self._whole if len(self._whole) >= FEWEST_WHOLE else self._whole + self._cut

    def add(self, patches: Sequence[Patch]) -> None:
        """Adds the patches of an image; those that its border cuts off only as long as they may be needed."""
        whole = [each for each in patches if not is_cut(each)]
        self._whole += whole
        self.images += bool(whole)
        kept = whole
        if len(self._whole) < FEWEST_WHOLE:
            kept = list(patches)
            self._cut += [each for each in patches if is_cut(each)]
        for each in kept:
            others = 0 if each.others is None else each.others.nbytes
            self._bytes += each.pixels.nbytes + each.mask.nbytes + others


def _mask_in(pixels: Pixels, labels: FoundLabels) -> Mask:
    """The pixels that stand out of the surface, in an image of whose defects only boxes are known."""
    boxes = [(left, top, right - left, bottom - top) for left, top, right, bottom in labels.boxes]
    return mask_in_boxes(pixels, boxes)


def _scaled(pixels: Pixels, mask: Mask, scale: float) -> tuple[Pixels, Mask]:
    """Image and mask with ``scale`` pixels for one; at a scale of 1 the same."""
    size = tuple(max(1, round(side * scale)) for side in mask.shape[::-1])
    if size == mask.shape[::-1]:
        return pixels, mask
    resized = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    marked = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    scaled: NDArray[np.uint8] = np.asarray(resized)
    return scaled, np.asarray(marked) >= HALF_MARKED


def _none_of(version: ModelVersion, defect_type: str, left_out: dict[str, int]) -> str:
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(left_out.items())) or "none"
    return (
        f"of {BLOCK} images of '{defect_type}' of {version.ref} none shows a defect that can be cut out (left out: "
        f"{reasons}); leave the type out of 'types', label the version anew with more masks, or place real defects "
        "('source': \"real\")"
    )
