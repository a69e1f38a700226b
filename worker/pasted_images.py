"""The images of a version without networks, and its file: defects of photographs, pasted where an address says."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save_file

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import MEASURED
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.interface import Place
from flawsmith.models.compositions import Patch
from flawsmith.models.compositions.pasted import Pasted, PasteMaterial, pasted
from flawsmith.models.presets.registry import UnfitFiles
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.published_generator import angles_of
from flawsmith.worker.published_labels import FoundLabels
from flawsmith.worker.stored_tensors import metadata_of

FILE = "defects.safetensors"  # in a version's folder
METADATA_KEY = "flawsmith"  # a single one, as in `generator_file`
KEPT = 4 * MICRO_BATCH  # images in memory, until their labels are asked for; several batches run at once


class PastedImages(ImageSampler):
    """Composes the image of each address.

    Args:
        material: of the version.
        config: of its job.
    """

    composed = True

    def __init__(self, material: PasteMaterial, config: Mapping[str, Any]) -> None:
        self.material, self.classes = material, list(config["classes"])
        self._per_image = (config["per_image"][0], config["per_image"][1])
        self._kept = lru_cache(KEPT)(self._composition)

    def sample_batch(self, addresses: Sequence[Address], candidates: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Raises ValueError, UnplaceableError."""
        if angles_of(addresses, frozenset() if candidates is None else MEASURED) is not None:
            raise ValueError("these images take no angles")
        return np.stack([each.pixels for each in self.compositions(addresses, candidates)])

    def compositions(self, addresses: Sequence[Address], candidates: Sequence[int] | None = None) -> list[Pasted]:
        """The images with the masks of what was placed. Raises UnplaceableError."""
        pairs = zip(addresses, candidates or [0] * len(addresses), strict=True)
        return [self._kept(address, candidate) for address, candidate in pairs]

    def _composition(self, address: Address, candidate: int) -> Pasted:
        key = f"{address.defect_type} {address.seed} {candidate}"
        return pasted(self.material, address.defect_type, key, self._per_image)


class PastedLabels:
    """Labels images with the masks of what was placed."""

    def __init__(self, images: PastedImages) -> None:
        self._images = images

    def __call__(self, addresses: Sequence[Address], candidates: Sequence[int] | None = None) -> list[FoundLabels]:
        """See `Labeller`."""
        made = self._images.compositions(addresses, candidates)
        return [FoundLabels(np.any(each.masks, 0), True, each.masks) for each in made]


def save_material(material: PasteMaterial, folder: Path) -> str:
    """Writes a version's file; returns its SHA-256. The same material makes the same bytes."""
    patches = [patch for each in material.patches.values() for patch in each]
    arrays = {
        "hosts": material.hosts,
        "pixels": np.concatenate([each.pixels.ravel() for each in patches]),
        "masks": np.packbits(np.concatenate([_marks(each).ravel() for each in patches])),
    }
    about = {
        "hosts_of": {name: list(map(int, each)) for name, each in material.hosts_of.items()},
        "patches": [{"type": each.defect_type, "source": each.source, "shape": each.pixels.shape} for each in patches],
        "synthetic": True,
    }
    save_file(arrays, folder / FILE, metadata={METADATA_KEY: json.dumps(about, sort_keys=True)})
    with (folder / FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_images(version: ModelVersion, folder: Place) -> PastedImages:
    """The images of a version, of what `save_material` wrote into its folder.

    Raises:
        OSError, SafetensorError: the file cannot be read.
        UnfitFiles: it, or the configuration, is none that this release writes.
    """
    content = (folder / FILE).read_bytes()
    try:
        images = PastedImages(_material(content), version.config)
        fits = images.classes == version.classes and _fits(images.material, version)
        if fits:
            images.compositions([Address(name, 0) for name in images.classes])
    except (LookupError, TypeError, ValueError) as error:
        raise UnfitFiles(f"'{FILE}' holds no defects to paste: {error!r}") from error
    if not fits:
        raise UnfitFiles(f"the defects in '{FILE}' are for other images")
    return images


def _fits(material: PasteMaterial, version: ModelVersion) -> bool:
    """Whether there is something to paste for each of the version's types, with the channels of its images."""
    side, channels = version.resolution, version.config["channels"]
    hosts = [number for name in version.classes for number in material.hosts_of[name]]
    return (
        material.hosts.dtype == np.uint8
        and material.hosts.shape[1:] == (side, side, channels)
        and all(material.patches[name] and material.hosts_of[name] for name in version.classes)
        and all(0 <= each < len(material.hosts) for each in hosts)
    )


def _material(content: bytes) -> PasteMaterial:
    about, arrays = json.loads(metadata_of(content)[METADATA_KEY]), load(content)
    hosts, pixels, masks = (arrays[name] for name in ("hosts", "pixels", "masks"))
    found: dict[str, list[Patch]] = {name: [] for name in about["hosts_of"]}
    marks = np.unpackbits(masks).astype(bool)
    at = marked = 0
    for each in about["patches"]:
        height, width = each["shape"][:2]
        size, area = int(np.prod(each["shape"])), height * width
        mask, others = marks[marked : marked + 2 * area].reshape(2, height, width)
        picture = pixels[at : at + size].reshape(each["shape"])
        found[each["type"]].append(Patch(picture, mask, each["type"], each["source"], others if others.any() else None))
        at, marked = at + size, marked + 2 * area
    return PasteMaterial(hosts, about["hosts_of"], found)


def _marks(patch: Patch) -> NDArray[np.bool_]:
    """The pixels of the defect and those of others, (2, H, W)."""
    others = np.zeros_like(patch.mask) if patch.others is None else patch.others
    return np.stack([patch.mask, others])
