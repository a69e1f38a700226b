"""Loads what makes the images of a published version, and what labels them."""

from typing import TYPE_CHECKING

import torch

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.registry import Registry
from flawsmith.worker.generator_file import generator_of
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.stored_tensors import load_tensors

# Imported where they are needed: few versions need them, and they take memory.
if TYPE_CHECKING:
    from flawsmith.worker.published_labels import Labeller


def load_sampler(version: ModelVersion, registry: Registry, device: torch.device) -> ImageSampler:
    """The version's generator on a device, or what its images are composed of.

    Raises:
        OSError, SafetensorError: its file cannot be read.
    """
    if version.has_networks:
        return generator_of(
            load_tensors(registry.weights(version.model, version.version)), version.model_dump(), device
        )
    from flawsmith.worker.pasted_images import PastedImages, load_material

    return PastedImages(load_material(registry.folder(version)), version.config)


def load_labeller(version: ModelVersion, registry: Registry, device: torch.device, images: ImageSampler) -> "Labeller":
    """What labels the images of a version with labels. Raises as `load_sampler`.

    Args:
        version, registry, device: as of `load_sampler`.
        images: what that returned; composed images are composed once for both.
    """
    if version.has_networks:
        from flawsmith.worker.published_labels import PublishedLabels

        return PublishedLabels(version, registry.folder(version), device)
    from flawsmith.worker.pasted_images import PastedImages, PastedLabels

    assert isinstance(images, PastedImages)
    return PastedLabels(images)
