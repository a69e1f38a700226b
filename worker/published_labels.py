"""The label network of a published version in memory: labels the images at addresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import MEASURED
from flawsmith.core.domain.image_labels import Box, ImageLabels
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.images import encode_png, to_image
from flawsmith.core.store.interface import Place
from flawsmith.models.compositions import box_of
from flawsmith.models.inference.latents import latent
from flawsmith.models.labels.classifier import PixelClassifier
from flawsmith.models.labels.features import FeatureMaps
from flawsmith.models.labels.masks import FIGURES, Mask, boxes_of, mask_of, parts_of
from flawsmith.models.labels.segmenter import Segmenter
from flawsmith.models.presets.registry import UnfitFiles, generator_with_weights
from flawsmith.worker.image_text import image_text
from flawsmith.worker.published_generator import angles_of
from flawsmith.worker.stored_tensors import load_tensors

FILE = "labels.safetensors"  # in a version's folder, beside its generator
MASK_LEVEL = 9  # of compression: masks shrink


@dataclass(frozen=True)
class FoundLabels:
    """The mask of an image, (H, W) with at least one pixel, and whether size and shape are as those of real ones.

    ``placed`` are the masks of its defects where they are known apart; else each connected part counts as one.
    """

    mask: Mask
    plausible: bool
    placed: Sequence[Mask] | None = None

    @property
    def boxes(self) -> list[Box]:
        """Around each part of the mask."""
        if self.placed is None:
            return boxes_of(self.mask)
        return [(left, top, left + width, top + height) for left, top, width, height in map(box_of, self.placed)]

    @property
    def parts(self) -> list[Mask]:
        """Of each of the boxes, the pixels within the whole image."""
        return parts_of(self.mask) if self.placed is None else list(self.placed)


class Labeller(Protocol):
    """Labels images of one version, each by its address alone."""

    def __call__(self, addresses: Sequence[Address], candidates: Sequence[int] | None = None) -> list[FoundLabels]:
        """The labels of up to `MICRO_BATCH` images. May be called from several threads at once.

        Args:
            addresses: of the images.
            candidates: which candidate of each address, for those with measured attributes.
        """


class PublishedLabels:
    """A `Labeller` with a network: in float32, in passes of one size.

    Args:
        version: with labels.
        folder: of the version.
        device: where the networks work.

    Raises:
        OSError, SafetensorError: a file cannot be read.
        UnfitFiles: its networks are none of this release, or do not fit one another.
    """

    def __init__(self, version: ModelVersion, folder: Place, device: torch.device) -> None:
        assert version.labelling
        self.version, self.device = version, device
        self.ranges = version.labelling.ranges
        self._maps = feature_maps(version, load_tensors(folder / "generator.safetensors"), device)
        self._network: PixelClassifier | Segmenter | None = None  # None: the generator itself makes the masks
        if version.labelling.source != "training":
            self._network = _label_network(load_tensors(folder / FILE), self._maps, len(version.classes)).to(device)
        elif not self._maps.network.masks:
            raise UnfitFiles("the generator makes no masks")
        if not all(self.ranges.get(name, {}).keys() >= set(FIGURES) for name in version.classes):
            raise UnfitFiles("the card does not say which masks are plausible")

    def __call__(self, addresses: Sequence[Address], candidates: Sequence[int] | None = None) -> list[FoundLabels]:
        """See `Labeller`."""
        latents, type_index, angles = inputs_of(self.version, addresses, candidates, self._maps.network.latent_size)
        empty = MICRO_BATCH - len(addresses)  # passes of one size, so that no label depends on the others
        latents = torch.cat([latents, latents.new_zeros(empty, latents.shape[1])])
        type_index = torch.cat([type_index, type_index.new_zeros(empty)])
        if angles is not None:
            angles = torch.cat([angles, angles.new_zeros(empty, 2)])
        found = self._probabilities(latents, type_index, angles).cpu().numpy()
        pairs = zip(addresses, found[: len(addresses)], strict=True)
        return [FoundLabels(*mask_of(each, self.ranges[address.defect_type])) for address, each in pairs]

    def _probabilities(self, latents: Tensor, type_index: Tensor, angles: Tensor | None) -> Tensor:
        """That a pixel shows a defect, (B, side, side)."""
        if self._network is None:
            return self._maps.masks(latents, type_index, angles).sigmoid()
        images, maps = self._maps(latents, type_index, angles)
        with torch.inference_mode():
            if isinstance(self._network, Segmenter):
                return self._network.probabilities(images)
            logits: Tensor = self._network(maps, images, type_index.to(self.device))
            return logits.sigmoid()


def _label_network(weights: Mapping[str, Tensor], maps: FeatureMaps, types: int) -> PixelClassifier | Segmenter:
    """The network with these weights, for images and feature maps such as these. Raises UnfitFiles."""
    network: PixelClassifier | Segmenter = Segmenter(maps.channels)
    if "of_image.weight" in weights:
        network = PixelClassifier(maps.widths, maps.channels, types)
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:  # of names and shapes: no memory is taken here
        raise UnfitFiles("the weights of the label network are not those of one for these images") from error
    return network.eval().requires_grad_(False)


def feature_maps(version: ModelVersion, weights: Mapping[str, Tensor], device: torch.device) -> FeatureMaps:
    """Of a version's generator. Raises UnfitFiles."""
    return FeatureMaps(generator_with_weights(version.preset, version.config, len(version.classes), weights), device)


def inputs_of(
    version: ModelVersion, addresses: Sequence[Address], candidates: Sequence[int] | None, size: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Latents, types and angles at addresses, for `FeatureMaps`; ``size``: of a latent."""
    pairs = zip(addresses, candidates or [0] * len(addresses), strict=True)
    latents = torch.stack([latent(each.seed, each.defect_type, size, candidate) for each, candidate in pairs])
    type_index = torch.tensor([version.classes.index(each.defect_type) for each in addresses])
    return latents, type_index, angles_of(addresses, MEASURED)


def image_labels(version: ModelVersion, address: Address, found: FoundLabels) -> ImageLabels:
    """The labels as they are given out. The mask's PNG says the same of itself as the image's."""
    mask = b""
    if version.labels == "mask":
        picture = to_image(found.mask[:, :, None].astype("uint8") * 255)
        mask = encode_png(picture, image_text(version, address), MASK_LEVEL, version.digital_source_type)
    return ImageLabels(tuple(found.boxes), found.plausible, mask)
