"""Loaded generators, and images from addresses."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from prometheus_client import Gauge
from safetensors.torch import load_file

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live.sampling_queue import MICRO_BATCH
from flawsmith.core.store.images import encode_png
from flawsmith.core.store.registry import Registry
from flawsmith.models.inference.session import InferenceSession, device_kind
from flawsmith.models.presets.registry import build_generator
from flawsmith.worker.latents import latent

LOADED = Gauge("flawsmith_loaded_generators", "Generators in this worker's memory")


class Engine:
    """Draws images of published versions.

    Args:
        registry: where the versions are.
        capacity: how many generators stay in memory; the least recently used goes first.
        device: where they live.
    """

    def __init__(self, registry: Registry, capacity: int, device: torch.device) -> None:
        self.registry, self.capacity, self.device = registry, capacity, device
        # On a GPU, float32 is to be float32, and the same kernels are to be chosen every time.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
        self._loaded: OrderedDict[str, tuple[ModelVersion, InferenceSession]] = OrderedDict()
        self._loading = threading.Lock()

    def draw(self, reference: str, addresses: Sequence[Address]) -> NDArray[np.uint8]:
        """One pass: the pixels of up to `MICRO_BATCH` addresses of a version such as ``scratches@2``, (B, H, W, C).

        May be called from several threads at once.

        Raises:
            UnknownModel: the version is not there, or no longer.
        """
        version, drawing = self._ready(reference)
        size = drawing.latent_size
        latents = torch.stack([latent(each.seed, each.defect_type, size) for each in addresses])
        type_index = torch.tensor([version.classes.index(each.defect_type) for each in addresses])
        pixels: NDArray[np.uint8] = drawing(latents, type_index).numpy()
        return pixels

    def _ready(self, reference: str) -> tuple[ModelVersion, InferenceSession]:
        with self._loading:
            if reference not in self._loaded:
                self._loaded[reference] = self._load(reference)
                while len(self._loaded) > self.capacity:
                    self._loaded.popitem(last=False)
                LOADED.set(len(self._loaded))
            self._loaded.move_to_end(reference)
            return self._loaded[reference]

    def _load(self, reference: str) -> tuple[ModelVersion, InferenceSession]:
        version = self.registry.resolve(reference)
        generator = build_generator(version.preset, version.config, len(version.classes))
        generator.load_state_dict(load_file(self.registry.weights(version.model, version.version)))
        # On another kind of device than the one that it was qualified on, a version draws in float32.
        precision = version.precision if device_kind(self.device) == version.qualified_on else "float32"
        return version, InferenceSession(generator, generator.latent_size, MICRO_BATCH, precision, self.device)


def encode(reference: str, address: Address, pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of (H, W, C) pixels that says what it is, so that it can never be taken for a photograph by accident."""
    return encode_png(
        Image.fromarray(pixels.squeeze()),
        {
            "Synthetic": "true",
            "Software": "Flawsmith",
            "Model": reference,
            "Defect-Type": address.defect_type,
            "Seed": str(address.seed),
        },
    )
