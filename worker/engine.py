"""The generators that a sampling worker has loaded, and the PNGs of their images."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from prometheus_client import Gauge, Histogram

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.image_labels import ImageLabels
from flawsmith.core.domain.image_modes import CHANNELS
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.images import encode_pixels
from flawsmith.core.store.registry import Registry
from flawsmith.worker.attribute_search import Search, search
from flawsmith.worker.devices.sampling_first import SamplingPasses
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.image_scores import PublishedScore
from flawsmith.worker.image_text import image_text
from flawsmith.worker.known_images import check_known_images
from flawsmith.worker.version_sampler import UnusableVersion, load_labeller, load_sampler, unusable_if_unfit

if TYPE_CHECKING:
    from flawsmith.worker.published_labels import Labeller

Encode = Callable[[Address, NDArray[np.uint8]], bytes]
"""Makes the PNG of an address's (H, W, C) pixels."""

MOST_UNUSABLE = 1000  # versions that are remembered

LOADED = Gauge("flawsmith_loaded_generators", "Generators in this worker's memory")
LOAD_SECONDS = Histogram(
    "flawsmith_generator_load_seconds",
    "Time to load a generator, in seconds",
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


class Engine:
    """Samples images of published versions.

    Args:
        registry: where the versions are.
        capacity: how many generators stay in memory; the least recently used is dropped first.
        device: where they sample.
        passes: training on the device makes way for them.
    """

    def __init__(
        self, registry: Registry, capacity: int, device: torch.device, passes: SamplingPasses | None = None
    ) -> None:
        self.registry, self.capacity, self.device = registry, capacity, device
        self._passes = passes or SamplingPasses()
        self._loaded: OrderedDict[str, tuple[ImageSampler, Encode]] = OrderedDict()
        self._scores: OrderedDict[str, PublishedScore] = OrderedDict()
        self._labels: OrderedDict[str, Labeller] = OrderedDict()
        self._unusable: OrderedDict[str, str] = OrderedDict()  # why, so that they are not read again for each call
        self._loading = threading.Lock()

    def sample(self, reference: str, addresses: Sequence[Address]) -> NDArray[np.uint8]:
        """One pass: the pixels of up to `MICRO_BATCH` addresses of a version such as ``scratches@2``, (B, H, W, C).

        May be called from several threads at once.

        Raises:
            UnknownModel: the version does not exist, or no longer.
            UnusableVersion: its files make no images here.
        """
        generator = self.generator(reference)
        with self._passes.one():
            return generator.sample_batch(addresses)

    def search(self, reference: str, addresses: Sequence[Address]) -> list[Search]:
        """Searches for the images of up to `MICRO_BATCH` addresses with measured attributes. Raises as `sample`."""
        generator = self.generator(reference)
        with self._passes.one():
            return search(generator.sample_batch, addresses)

    def generator(self, reference: str) -> ImageSampler:
        """The version's generator, loaded if necessary. Raises UnknownModel."""
        return self._version(reference)[0]

    def encoder(self, reference: str) -> Encode:
        """Encodes images of the version. Raises UnknownModel."""
        return self._version(reference)[1]

    def _version(self, reference: str) -> tuple[ImageSampler, Encode]:
        with self._loading:
            if reference in self._unusable:
                raise UnusableVersion(self._unusable[reference])
            if reference not in self._loaded:
                self._loaded[reference] = self._load(reference)
                while len(self._loaded) > self.capacity:
                    self._loaded.popitem(last=False)
                LOADED.set(len(self._loaded))
            self._loaded.move_to_end(reference)
            return self._loaded[reference]

    def scores(self, reference: str, addresses: Sequence[Address], pixels: NDArray[np.uint8]) -> list[float]:
        """The score of each of (B, H, W, C) images that `sample` made; NaN where the type has none.

        May be called from several threads at once.

        Raises:
            UnknownModel: the version does not exist, or no longer.
            UnusableVersion: what it has is for other images.
            FileNotFoundError: it has nothing to score images with.
        """
        with self._loading:
            if reference not in self._scores:
                version = self.registry.resolve(reference)
                with unusable_if_unfit(version):
                    folder = self.registry.folder(version)
                    self._scores[reference] = PublishedScore(folder, CHANNELS[version.mode])
                while len(self._scores) > self.capacity:
                    self._scores.popitem(last=False)
            self._scores.move_to_end(reference)
            score = self._scores[reference]
        return score(addresses, pixels)

    def labels(
        self, reference: str, addresses: Sequence[Address], candidates: Sequence[int] | None = None
    ) -> list[ImageLabels]:
        """The labels of up to `MICRO_BATCH` images of a version with labels; see `PublishedLabels`.

        May be called from several threads at once. Raises UnknownModel.
        """
        from flawsmith.worker.published_labels import image_labels  # takes memory that few need

        version, images = self.registry.resolve(reference), self.generator(reference)
        with self._loading:
            if reference not in self._labels:
                self._labels[reference] = load_labeller(version, self.registry, self.device, images)
                while len(self._labels) > self.capacity:
                    self._labels.popitem(last=False)
            self._labels.move_to_end(reference)
            labels = self._labels[reference]
        with self._passes.one():
            found = labels(addresses, candidates)
        return [image_labels(version, *each) for each in zip(addresses, found, strict=True)]

    def _load(self, reference: str) -> tuple[ImageSampler, Encode]:
        version = self.registry.resolve(reference)
        try:
            with LOAD_SECONDS.time():
                generator = load_sampler(version, self.registry, self.device)
        except UnusableVersion as error:
            self._unusable[reference] = str(error)
            while len(self._unusable) > MOST_UNUSABLE:
                self._unusable.popitem(last=False)
            raise
        check_known_images(generator, version, self.registry, self.device)
        return generator, partial(encode, version)


def encode(version: ModelVersion, address: Address, pixels: NDArray[np.uint8]) -> bytes:
    """The PNG of (H, W, C) pixels. Its text chunks say that the image is synthetic, and its address.

    Its XMP says its origin, unless an earlier release published the version: then the same bytes as ever.
    """
    return encode_pixels(pixels, image_text(version, address), version.digital_source_type)
