"""The generated images that go with a subset of photographs, sampled pass by pass."""

from collections.abc import Mapping

import torch
from torch import Tensor

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import ModelVersion
from flawsmith.models.inference.session import device_kind
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.published_generator import PublishedGenerator


class SubsetImages:
    """Images of consecutive seeds, for each type as many as are wanted.

    Args:
        generator: samples them.
        counts: how many, by the position of the type in the generator's ``classes``.
        seed: of each type's first image.
    """

    def __init__(self, generator: ImageSampler, counts: Mapping[int, int], seed: int) -> None:
        self.generator, self.counts = generator, counts
        self._wanted = [
            [
                Address(generator.classes[each], seed + number)
                for number in range(start, min(start + MICRO_BATCH, count))
            ]
            for each, count in counts.items()
            for start in range(0, count, MICRO_BATCH)
        ]
        self._sampled: list[Tensor] = []

    @property
    def complete(self) -> bool:
        return len(self._sampled) == len(self._wanted)

    def sample_next(self) -> None:
        """Makes one pass, of at most `MICRO_BATCH` images."""
        pixels = self.generator.sample_batch(self._wanted[len(self._sampled)])
        self._sampled.append(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())

    def by_type(self) -> dict[int, Tensor]:
        """(count, C, side, side) uint8 for each type, once all are sampled."""
        images = torch.cat(self._sampled).split(list(self.counts.values()))
        return dict(zip(self.counts, images, strict=True))


def retrained_generator(
    version: ModelVersion, weights: Mapping[str, Tensor], device: torch.device
) -> PublishedGenerator:
    """The version's generator with other weights."""
    return PublishedGenerator(
        weights,
        preset=version.preset,
        config=version.config,
        classes=version.classes,
        precision="float32",
        qualified_on=device_kind(device),
        device=device,
    )
