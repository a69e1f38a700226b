"""Loaded generators, and images from addresses: one fixed micro-batch shape, so that no image knows its neighbours."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image
from prometheus_client import Gauge
from safetensors.torch import load_file
from torch import nn

from core.addresses import Address
from core.images import encode_png
from core.records import ModelVersion
from core.registry import Registry
from models.presets import build_generator
from models.trainer import render
from worker.latents import latent

MICRO_BATCH = 16  # every pass of every generator has this many latents, padded: kernels may differ between batch sizes

LOADED = Gauge("flawsmith_loaded_generators", "Generators in this worker's memory")


class Engine:
    """Makes images of published versions.

    Args:
        registry: where the versions are.
        capacity: how many generators stay in memory; the least recently used goes first.
        device: where they live.
    """

    def __init__(self, registry: Registry, capacity: int, device: torch.device) -> None:
        self.registry, self.capacity, self.device = registry, capacity, device
        self._loaded: OrderedDict[str, tuple[ModelVersion, nn.Module]] = OrderedDict()
        self._encoders = ThreadPoolExecutor(max_workers=2, thread_name_prefix="encode")

    def images(self, model: str, number: int, addresses: Sequence[Address]) -> Iterator[list[bytes]]:
        """Encoded PNGs in the order of their addresses, a micro-batch at a time.

        Raises:
            UnknownModel: the version is not there, or no longer.
        """
        version, generator = self._generator(model, number)
        for start in range(0, len(addresses), MICRO_BATCH):
            yield self._micro_batch(version, generator, addresses[start : start + MICRO_BATCH])

    def _micro_batch(self, version: ModelVersion, generator: nn.Module, addresses: Sequence[Address]) -> list[bytes]:
        size = version.config["latent_size"]
        latents = torch.zeros(MICRO_BATCH, size)
        type_index = torch.zeros(MICRO_BATCH, dtype=torch.int64)
        for row, address in enumerate(addresses):
            latents[row] = latent(address.seed, address.defect_type, size)
            type_index[row] = version.classes.index(address.defect_type)
        pixels = render(generator, latents.to(self.device), type_index.to(self.device)).permute(0, 2, 3, 1).numpy()
        pictures = [Image.fromarray(each.squeeze()) for each in pixels[: len(addresses)]]
        return list(self._encoders.map(lambda pair: _encode(version, *pair), zip(addresses, pictures, strict=True)))

    def _generator(self, model: str, number: int) -> tuple[ModelVersion, nn.Module]:
        key = f"{model}@{number}"
        if key not in self._loaded:
            version = self.registry.version(model, str(number))
            generator = build_generator(version.preset, version.config, len(version.classes))
            generator.load_state_dict(load_file(self.registry.weights(model, number)))
            self._loaded[key] = (version, generator.to(self.device).eval())
            while len(self._loaded) > self.capacity:
                self._loaded.popitem(last=False)
            LOADED.set(len(self._loaded))
        self._loaded.move_to_end(key)
        return self._loaded[key]


def _encode(version: ModelVersion, address: Address, picture: Image.Image) -> bytes:
    """A PNG that says what it is, so that it can never be taken for a photograph by accident."""
    return encode_png(
        picture,
        {
            "Synthetic": "true",
            "Software": "Flawsmith",
            "Model": version.ref,
            "Defect-Type": address.defect_type,
            "Seed": str(address.seed),
        },
    )
