"""What a caller accepts (RFC 9110, section 12.5.1), and images in that form."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Literal, get_args
from urllib.parse import quote

import numpy as np
from fastapi.responses import Response, StreamingResponse
from PIL import Image

from flawsmith.app.problems import Problem
from flawsmith.app.sampling import Images
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.images import encode

MediaType = Literal["image/png", "image/jpeg", "image/webp", "application/zip", "application/json", "application/x-npy"]
MEDIA_TYPES: tuple[MediaType, ...] = get_args(MediaType)

_FORMATS: dict[str, MediaType] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "npy": "application/x-npy",
}
PIECE = 16  # images that are sent at once
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same images are the same archive, whenever they are asked for


@lru_cache(maxsize=1000)
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


def answer(media_type: MediaType, version: ModelVersion, images: Images) -> Response:
    """The answer in this form. Without images (JSON only) their bytes are left out.

    All images are there before the first byte is sent, and what holds many of them is sent piece by piece, so that they
    are in memory once.
    """
    first = images.addresses[0]
    headers = {
        "X-Model": version.ref,
        "X-Seed": str(first.seed),
        "X-Defect-Type": quote(first.defect_type),
        "X-Stock": images.stock,
    }
    if media_type == "image/png":
        return Response(images.pngs[0], media_type=media_type, headers=headers)
    if media_type == "image/jpeg" or media_type == "image/webp":
        said = f"Synthetic: true; Flawsmith {version.ref}; {first.defect_type}; seed {first.seed}"
        picture = Image.open(io.BytesIO(images.pngs[0]))
        encoded = encode(picture, "jpeg" if media_type == "image/jpeg" else "webp", said)
        return Response(encoded, media_type=media_type, headers=headers)
    if media_type == "application/x-npy":
        headers["X-Seeds"] = ",".join(str(each.seed) for each in images.addresses)
    pieces = _PIECES[media_type](version, images)
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


def _json(version: ModelVersion, images: Images) -> Iterator[bytes]:
    yield b'{"model": %s, "images": [' % json.dumps(version.ref).encode()
    for number, address in enumerate(images.addresses):
        entry = {"seed": address.seed, "defect_type": address.defect_type, "url": _url(version, address)}
        if images.pngs:
            entry["data"] = base64.b64encode(images.pngs[number]).decode()
        yield (b", " if number else b"") + json.dumps(entry).encode()
    yield b"]}"


def _url(version: ModelVersion, address: Address) -> str:
    place = f"/models/{version.model}/versions/{version.version}/images/{address.seed}.png"
    return f"{place}?defect_type={quote(address.defect_type, safe='')}"


def _zip(version: ModelVersion, images: Images) -> Iterator[bytes]:
    files = [f"{each.defect_type}/{each.seed}.png" for each in images.addresses]
    manifest = {
        "model": version.ref,
        "synthetic": True,
        "images": [
            {"file": file, "seed": each.seed, "defect_type": each.defect_type}
            for file, each in zip(files, images.addresses, strict=True)
        ],
    }
    window = _Window()
    with zipfile.ZipFile(window, "w") as archive:
        archive.writestr(zipfile.ZipInfo("manifest.json", _ZIP_EPOCH), json.dumps(manifest, indent=1))
        for number, (file, png) in enumerate(zip(files, images.pngs, strict=True), 1):
            archive.writestr(zipfile.ZipInfo(file, _ZIP_EPOCH), png)
            if number % PIECE == 0:
                yield window.drained()
    yield window.drained()


class _Window(io.BytesIO):
    """The part of a file that was not sent yet, at its place in the whole."""

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0

    def tell(self) -> int:
        return self._sent + super().tell()

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        return self._sent + super().seek(position - self._sent if whence == io.SEEK_SET else position, whence)

    def drained(self) -> bytes:
        """What was written since the last time."""
        data = self.getvalue()
        self._sent += len(data)
        super().seek(0)
        self.truncate()
        return data


def _npy(version: ModelVersion, images: Images) -> Iterator[bytes]:
    height_width = np.asarray(Image.open(io.BytesIO(images.pngs[0]))).shape
    header = io.BytesIO()
    described = {"descr": "|u1", "fortran_order": False, "shape": (len(images.pngs), *height_width)}
    np.lib.format.write_array_header_1_0(header, described)
    yield header.getvalue()
    for start in range(0, len(images.pngs), PIECE):
        pictures = [np.asarray(Image.open(io.BytesIO(png))) for png in images.pngs[start : start + PIECE]]
        yield np.stack(pictures).tobytes()


_PIECES: dict[MediaType, Callable[[ModelVersion, Images], Iterator[bytes]]] = {
    "application/json": _json,
    "application/zip": _zip,
    "application/x-npy": _npy,
}
