"""Loads what makes the images of a published version, and what labels them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.registry import Registry
from flawsmith.models.presets.registry import UnfitWeights
from flawsmith.worker.generator_file import generator_of
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.stored_tensors import load_tensors

# Imported where they are needed: few versions need them, and they take memory.
if TYPE_CHECKING:
    from flawsmith.worker.published_labels import Labeller


class UnusableVersion(Exception):
    """A version whose files make no images, on whichever worker: an import was made by hand. The message says why."""


def load_sampler(version: ModelVersion, registry: Registry, device: torch.device) -> ImageSampler:
    """The version's generator on a device, or what its images are composed of.

    Raises:
        OSError, SafetensorError: its file cannot be read.
        UnusableVersion: it is none of this version's preset.
    """
    with _unusable_if_unfit(version):
        if version.has_networks:
            weights = load_tensors(registry.weights(version.model, version.version))
            return generator_of(weights, version.model_dump(), device)
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

        with _unusable_if_unfit(version):
            return PublishedLabels(version, registry.folder(version), device)
    from flawsmith.worker.pasted_images import PastedImages, PastedLabels

    assert isinstance(images, PastedImages)
    return PastedLabels(images)


@contextmanager
def _unusable_if_unfit(version: ModelVersion) -> Iterator[None]:
    try:
        yield
    except UnfitWeights as error:
        raise UnusableVersion(
            f"the files of {version.ref} make no images in this release: {error}. Delete the version, and import the "
            "bundle again from the service that trained it"
        ) from error
