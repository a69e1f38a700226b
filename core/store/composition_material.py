"""What compositions are made of: clean photographs, annotated defects, and the region in which they may lie."""

import base64
import binascii
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from flawsmith.core.domain.composition_request import CannotCompose
from flawsmith.core.store.datasets.boxes import Size
from flawsmith.core.store.datasets.dataset_folder import StoredPhotograph
from flawsmith.core.store.datasets.masks import marked
from flawsmith.core.store.datasets.outlines import decoded, encoded
from flawsmith.core.store.datasets.repository import Datasets


def clean_photographs(datasets: Datasets, dataset_id: str) -> list[StoredPhotograph]:
    """The photographs that are known to show no defect; all, where nothing is annotated in any of them.

    Raises:
        UnknownDataset: there is no such dataset.
    """
    photographs = datasets.photographs(dataset_id)
    clean = [*datasets.clean_photographs(dataset_id), *(each for each in photographs if each.annotations.clean)]
    if clean or any(each.annotations.defects for each in photographs):
        return clean
    return photographs


def annotated_defects(datasets: Datasets, dataset_id: str) -> dict[str, int]:
    """How many defects of each type are annotated, by the types' names. Raises UnknownDataset."""
    counts = Counter(
        each.defect_type for photograph in datasets.photographs(dataset_id) for each in photograph.annotations.defects
    )
    return dict(sorted(counts.items()))


def region_of_mask(content: str, sizes: Sequence[Size]) -> dict[str, Any]:
    """The region of a mask, as a job's configuration has it: ``{"mask": {"size": [width, height], "counts": "…"}}``.

    Args:
        content: a PNG in base64.
        sizes: of the photographs.

    Raises:
        CannotCompose: it is no such picture, of another size than the photographs, or marks nothing.
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(base64.b64decode(content, validate=True)), formats=["PNG"])
    except (binascii.Error, UnidentifiedImageError, OSError, ValueError):
        detail = "neither corners [[x, y], …] nor a PNG in base64; a mask is white where defects may lie"
        raise CannotCompose("/region", detail) from None
    if others := [each for each in sizes if each != image.size]:
        width, height = others[0]
        raise CannotCompose(
            "/region",
            f"the mask is {image.width} x {image.height} pixels, and a photograph of the background is {width} x "
            f"{height}; a mask must be of the size of all: give a polygon, or photographs of one size",
        )
    try:
        pixels = marked(image)
    except (OSError, ValueError, SyntaxError):
        raise CannotCompose("/region", "the mask's file is broken; send the whole PNG in base64") from None
    if not pixels.any():
        raise CannotCompose("/region", "the mask marks nothing; it must be white where defects may lie")
    return {"mask": {"size": list(image.size), "counts": encoded(pixels)}}


def decoded_region(region: dict[str, Any]) -> NDArray[np.bool_]:
    """(H, W), the mask of a region that `region_of_mask` made."""
    width, height = region["mask"]["size"]
    return decoded(region["mask"]["counts"], (width, height))
