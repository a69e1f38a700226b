"""Loads what makes the images of a published version, and what labels them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from flawsmith.core.domain.attributes import ANGLE
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.registry import Registry
from flawsmith.models.presets.registry import UnfitFiles
from flawsmith.worker.generator_file import generator_of
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.stored_tensors import load_tensors

# Imported where they are needed: few versions need them, and they take memory.
if TYPE_CHECKING:
    from flawsmith.worker.published_labels import Labeller


class UnusableVersion(Exception):
    """A version whose files make no images here: a later release made them, or no service. The message says why."""


def load_sampler(version: ModelVersion, registry: Registry, device: torch.device) -> ImageSampler:
    """The version's generator on a device, or what its images are composed of.

    Raises:
        OSError, SafetensorError: its file cannot be read.
        UnusableVersion: it is none of this version's preset.
    """
    with unusable_if_unfit(version):
        if version.has_networks:
            weights = load_tensors(registry.weights(version.model, version.version))
            generator = generator_of(weights, version.model_dump(), device)
            if ANGLE in version.attributes and not generator.takes_angles:
                raise UnfitFiles("the card lists angles, and the generator takes none")
            return generator
        from flawsmith.worker.pasted_images import load_images

        return load_images(version, registry.folder(version))


def load_labeller(version: ModelVersion, registry: Registry, device: torch.device, images: ImageSampler) -> "Labeller":
    """What labels the images of a version with labels. Raises as `load_sampler`.

    Args:
        version, registry, device: as of `load_sampler`.
        images: what that returned; composed images are composed once for both.
    """
    if version.has_networks:
        from flawsmith.worker.published_labels import PublishedLabels

        with unusable_if_unfit(version):
            return PublishedLabels(version, registry.folder(version), device)
    from flawsmith.worker.pasted_images import PastedImages, PastedLabels

    assert isinstance(images, PastedImages)
    return PastedLabels(images)


@contextmanager
def unusable_if_unfit(version: ModelVersion) -> Iterator[None]:
    """Raises UnusableVersion where its files are found to be unfit."""
    try:
        yield
    except UnfitFiles as error:
        raise UnusableVersion(
            f"the files of {version.ref} make no images in this release: {error}. If a later release made the version, "
            "update the workers; else no service wrote these files: train it again, or import another bundle"
        ) from error
