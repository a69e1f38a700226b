"""The reference photographs of a model version, which the API and the report compare images with."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.core.store.reference_photographs import FILE, Matches, ReferencePhotographs
from flawsmith.models.quality.nearest_photographs import Nearest
from flawsmith.worker.version_photographs import VersionPhotographs


def save_references(photographs: VersionPhotographs, folder: Path) -> None:
    """Writes the references of the photographs that were trained on into a version's folder."""
    trained_on = (~photographs.held_out).nonzero().squeeze(1)
    pixels = pixels_of(photographs.images[trained_on])
    type_index = photographs.type_index[trained_on].numpy()
    files = [photographs.files[each] for each in trained_on.tolist()]
    ReferencePhotographs.of(pixels, type_index, photographs.classes, files).save(folder / FILE)


def pixels_of(images: Tensor) -> NDArray[np.uint8]:
    """(N, C, side, side) uint8 images as (N, side, side, C)."""
    pixels: NDArray[np.uint8] = images.permute(0, 2, 3, 1).numpy()
    return pixels


def to_nearest(matches: Matches) -> Nearest:
    """The same as tensors."""
    return Nearest(
        distance=torch.from_numpy(matches.distance).float(),
        second=torch.from_numpy(matches.second).float(),
        which=torch.from_numpy(matches.which),
        symmetry=torch.from_numpy(matches.symmetry),
    )
