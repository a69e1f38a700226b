"""The masks that a caller paints of generated images: decoded and checked."""

import base64
import binascii
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flawsmith.app.problems import invalid, of_errors
from flawsmith.core.domain.addresses import Address, seeded
from flawsmith.core.domain.label_request import MaskOfImage
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.datasets.masks import marked


class UnusableMask(ValueError):
    """A mask cannot be used; the message says what would be right."""


def addressed_masks(version: ModelVersion, masks: list[MaskOfImage]) -> list[tuple[Address, NDArray[np.bool_]]]:
    """The address and the mask, (side, side), of each image. Raises Problem 422."""
    found: dict[Address, NDArray[np.bool_]] = {}
    errors: list[tuple[str, str]] = []
    for number, each in enumerate(masks):
        if each.defect_type is not None and each.defect_type not in version.classes:
            known = ", ".join(version.classes)
            detail = f"unknown defect_type '{each.defect_type}'; this model knows: {known}"
            raise invalid(f"/masks/{number}/defect_type", detail)
        [address] = seeded(version.classes, each.defect_type, each.seed, 1)
        if address in found:
            errors.append(
                (f"/masks/{number}/seed", f"seed {address.seed} of '{address.defect_type}' has a mask already")
            )
            continue
        try:
            found[address] = _decoded(each.mask, version.resolution)
        except UnusableMask as error:
            errors.append((f"/masks/{number}/mask", str(error)))
    if errors:
        raise of_errors(errors)
    return list(found.items())


def _decoded(text: str, side: int) -> NDArray[np.bool_]:
    """Raises UnusableMask."""
    try:
        image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"])
        if image.size != (side, side):  # before it is decoded, so that a small file cannot become a large picture
            width, height = image.size
            raise UnusableMask(
                f"the mask is {width} x {height} pixels; it must be of the image's size, {side} x {side}"
            )
        pixels = marked(_opaque(image))
    except (binascii.Error, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnusableMask("must be a PNG as base64, without the prefix of a data URL") from error
    except UnusableMask:
        raise
    except ValueError as error:
        raise UnusableMask("must be a PNG as base64, without the prefix of a data URL") from error
    if not pixels.any():
        raise UnusableMask("the mask is empty; mark the pixels of the defect in white")
    return pixels


def _opaque(image: Image.Image) -> Image.Image:
    """On black where it is transparent: what a page's canvas has where nobody painted."""
    if image.mode in ("1", "L", "I;16", "I"):
        return image.convert("L")
    painted = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "black"), painted).convert("RGB")
