"""The generators that a sampling worker has loaded, and the PNGs of their images."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from prometheus_client import Gauge

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import attributes_text
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.images import encode_pixels
from flawsmith.core.store.registry import Registry
from flawsmith.worker.attribute_search import Search, search
from flawsmith.worker.generator_file import load_generator
from flawsmith.worker.image_scores import PublishedScore
from flawsmith.worker.known_images import check_known_images
from flawsmith.worker.published_generator import PublishedGenerator

Encode = Callable[[Address, NDArray[np.uint8]], bytes]
"""Makes the PNG of an address's (H, W, C) pixels."""

LOADED = Gauge("flawsmith_loaded_generators", "Generators in this worker's memory")


class Engine:
    """Samples images of published versions.

    Args:
        registry: where the versions are.
        capacity: how many generators stay in memory; the least recently used is dropped first.
        device: where they sample.
    """

    def __init__(self, registry: Registry, capacity: int, device: torch.device) -> None:
        self.registry, self.capacity, self.device = registry, capacity, device
        self._loaded: OrderedDict[str, tuple[PublishedGenerator, Encode]] = OrderedDict()
        self._scores: OrderedDict[str, PublishedScore] = OrderedDict()
        self._loading = threading.Lock()

    def sample(self, reference: str, addresses: Sequence[Address]) -> NDArray[np.uint8]:
        """One pass: the pixels of up to `MICRO_BATCH` addresses of a version such as ``scratches@2``, (B, H, W, C).

        May be called from several threads at once.

        Raises:
            UnknownModel: the version does not exist, or no longer.
        """
        return self.generator(reference).sample_batch(addresses)

    def search(self, reference: str, addresses: Sequence[Address]) -> list[Search]:
        """Searches for the images of up to `MICRO_BATCH` addresses with measured attributes. Raises as `sample`."""
        return search(self.generator(reference).sample_batch, addresses)

    def generator(self, reference: str) -> PublishedGenerator:
        """The version's generator, loaded if necessary. Raises UnknownModel."""
        return self._version(reference)[0]

    def encoder(self, reference: str) -> Encode:
        """Encodes images of the version. Raises UnknownModel."""
        return self._version(reference)[1]

    def _version(self, reference: str) -> tuple[PublishedGenerator, Encode]:
        with self._loading:
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
            FileNotFoundError: it has nothing to score images with.
        """
        with self._loading:
            if reference not in self._scores:
                self._scores[reference] = PublishedScore(self.registry.folder(self.registry.resolve(reference)))
                while len(self._scores) > self.capacity:
                    self._scores.popitem(last=False)
            self._scores.move_to_end(reference)
            score = self._scores[reference]
        return score(addresses, pixels)

    def _load(self, reference: str) -> tuple[PublishedGenerator, Encode]:
        version = self.registry.resolve(reference)
        weights = self.registry.weights(version.model, version.version)
        generator = load_generator(weights, version.model_dump(), self.device)
        check_known_images(generator, version, self.registry, self.device)
        return generator, partial(encode, version)


def encode(version: ModelVersion, address: Address, pixels: NDArray[np.uint8]) -> bytes:
    """The PNG of (H, W, C) pixels. Its text chunks say that the image is synthetic, and its address.

    Its XMP says its origin, unless an earlier release published the version: then the same bytes as ever.
    """
    text = {
        "Synthetic": "true",
        "Software": "Flawsmith",
        "Model": version.ref,
        "Defect-Type": address.defect_type,
        "Seed": str(address.seed),
    }
    if address.attributes:
        text["Attributes"] = attributes_text(address.attributes)
    return encode_pixels(pixels, text, version.digital_source_type)
