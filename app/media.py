"""What a caller accepts (RFC 9110, section 12.5.1), and images in that form."""

import base64
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Literal, get_args
from urllib.parse import quote

import numpy as np
from PIL import Image

from app.problems import Problem
from core.addresses import Address
from core.images import encode
from core.records import ModelVersion

MediaType = Literal["image/png", "image/jpeg", "image/webp", "application/zip", "application/json", "application/x-npy"]
MEDIA_TYPES: tuple[MediaType, ...] = get_args(MediaType)

_FORMATS: dict[str, MediaType] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "npy": "application/x-npy",
}
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same images are the same archive, whenever they are asked for


def choose(accept: str | None, format: str | None, count: int) -> MediaType:
    """The answer's media type. Raises Problem 406 where nothing that the caller accepts holds ``count`` images."""
    offers = [_FORMATS[format]] if format else _ranked(accept or "*/*", count)
    fitting = [offer for offer in offers if count == 1 or not offer.startswith("image/")]
    if fitting:
        return fitting[0]
    if offers:
        detail = f"{offers[0]} holds one image; take count 1, or application/zip, application/json or application/x-npy"
    else:
        detail = f"none of the accepted media types can be served; these can: {', '.join(MEDIA_TYPES)}"
    raise Problem(406, "not-acceptable", detail)


def _ranked(accept: str, count: int) -> list[MediaType]:
    """All types that a header Accept allows, the dearest first; among equals the natural one for the count."""
    natural: list[MediaType] = sorted(MEDIA_TYPES, key=lambda each: each.startswith("image/") != (count == 1))
    quality = {each: _quality(each, accept) for each in natural}
    return sorted((each for each in natural if quality[each] > 0), key=lambda each: -quality[each])


def _quality(media_type: str, accept: str) -> float:
    """How dear a type is, 0 to 1: the most specific range of the header that holds it decides."""
    family = media_type.split("/")[0] + "/*"
    best = (-1, 0.0)
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name in (media_type, family, "*/*"):
            specific = (name != "*/*") + (name == media_type)
            weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
            best = max(best, (specific, _number(weights[0]) if weights else 1.0))
    return best[1]


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def render(
    media_type: MediaType, version: ModelVersion, addresses: Sequence[Address], images: Sequence[bytes] | None
) -> tuple[bytes, dict[str, str]]:
    """The answer's body and headers. ``images`` are PNGs; None (JSON only) leaves their bytes out."""
    headers = {
        "X-Model": version.ref,
        "X-Seed": str(addresses[0].seed),
        "X-Defect-Type": quote(addresses[0].defect_type),
        "X-Stock": "miss",
    }
    if images is None or media_type == "application/json":
        return _json(version, addresses, images), headers
    if media_type == "application/zip":
        return _zip(version, addresses, images), headers
    if media_type == "application/x-npy":
        return _npy(images), headers | {"X-Seeds": ",".join(str(each.seed) for each in addresses)}
    if media_type == "image/png":
        return images[0], headers
    said = f"Synthetic: true; Flawsmith {version.ref}; {addresses[0].defect_type}; seed {addresses[0].seed}"
    picture = Image.open(io.BytesIO(images[0]))
    return encode(picture, "jpeg" if media_type == "image/jpeg" else "webp", said), headers


def _json(version: ModelVersion, addresses: Sequence[Address], images: Sequence[bytes] | None) -> bytes:
    listed: list[dict[str, object]] = [
        {"seed": each.seed, "defect_type": each.defect_type, "url": _url(version, each)} for each in addresses
    ]
    for entry, png in zip(listed, images or [], strict=False):
        entry["data"] = base64.b64encode(png).decode()
    return json.dumps({"model": version.ref, "images": listed}).encode()


def _url(version: ModelVersion, address: Address) -> str:
    place = f"/models/{version.model}/versions/{version.version}/images/{address.seed}.png"
    return f"{place}?defect_type={quote(address.defect_type, safe='')}"


def _zip(version: ModelVersion, addresses: Sequence[Address], images: Sequence[bytes]) -> bytes:
    files = [f"{each.defect_type}/{each.seed}.png" for each in addresses]
    manifest = {
        "model": version.ref,
        "synthetic": True,
        "images": [
            {"file": file, "seed": each.seed, "defect_type": each.defect_type}
            for file, each in zip(files, addresses, strict=True)
        ],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("manifest.json", _ZIP_EPOCH), json.dumps(manifest, indent=1))
        for file, png in zip(files, images, strict=True):
            archive.writestr(zipfile.ZipInfo(file, _ZIP_EPOCH), png)
    return buffer.getvalue()


def _npy(images: Sequence[bytes]) -> bytes:
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in images])
    buffer = io.BytesIO()
    np.save(buffer, pixels, allow_pickle=False)
    return buffer.getvalue()
