"""The clean photographs that defects are placed on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from flawsmith.core.domain.job_kinds.composition import CompositionJob
from flawsmith.core.services import Services
from flawsmith.core.store.background_image import background_file
from flawsmith.core.store.composition_material import clean_photographs, decoded_region
from flawsmith.core.store.interface import Place
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.models.compositions import part_region, polygon_region
from flawsmith.models.compositions.parts import Mask, Pixels


@dataclass(frozen=True)
class Host:
    """A clean photograph.

    Attributes:
        pixels: of it.
        region: (H, W), where defects may lie.
        described: what a composition says of it.
    """

    pixels: Pixels
    region: Mask
    described: Mapping[str, str]


class Hosts:
    """The clean photographs of a job, which take turns by seed.

    Args:
        job: whose background they are.
        services: of this process.

    Attributes:
        title: what they are of.

    Raises:
        UnknownDataset: the dataset was deleted.
    """

    def __init__(self, job: CompositionJob, services: Services) -> None:
        self._region: Mapping[str, Any] | None = job.config["region"]
        self._read: tuple[int, Host] | None = None
        if job.background is None:
            self.title = "an-image"
            sent = background_file(JobFolder(services.store, job.id))
            self._known: Sequence[tuple[Place, dict[str, str]]] = [(sent, {"image": job.config["image"]["sha256"]})]
            return
        dataset = services.datasets.get(job.background)
        self.title = dataset.name
        self._known = [
            (each.path, {"dataset": dataset.id, "file": each.file})
            for each in clean_photographs(services.datasets, dataset.id)
        ]

    def at(self, seed: int) -> Host:
        """The photograph whose turn it is. The last one stays in memory: with a single one, every seed has it."""
        number = seed % len(self._known)
        if self._read is None or self._read[0] != number:
            path, described = self._known[number]
            pixels = read_pixels(path)
            self._read = number, Host(pixels, self._region_of(pixels), described)
        return self._read[1]

    def _region_of(self, pixels: Pixels) -> Mask:
        if self._region is None:
            return part_region(pixels).mask
        if "polygon" in self._region:
            corners = [(x, y) for x, y in self._region["polygon"]]
            return polygon_region(corners, pixels.shape[1], pixels.shape[0])
        return decoded_region(dict(self._region))


def background_key(described: Mapping[str, str]) -> str:
    """The photograph as one text, which decides the split: ``ds-…/good/4.png``, or the digest of a sent image."""
    return "/".join(described.values())


def read_pixels(path: Place) -> Pixels:
    """The picture, (H, W) gray or (H, W, 3) colour."""
    with path.open("rb") as file, Image.open(file) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))
