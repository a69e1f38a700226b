"""Content negotiation (RFC 9110, section 12.5.1), and images in each of the media types."""

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import quote

import numpy as np
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from numpy.typing import NDArray
from PIL import Image
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from flawsmith.app.image_labels import label_fields
from flawsmith.app.problems import Problem, invalid
from flawsmith.app.sampling.images import Images
from flawsmith.app.zip_stream import zip_pieces
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import attributes_text
from flawsmith.core.domain.digital_source_type import term_url
from flawsmith.core.domain.folder_names import folder_names
from flawsmith.core.domain.image_paths import image_path
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.images import decode_pixels, encode

MediaType = Literal[
    "image/png",
    "image/jpeg",
    "image/webp",
    "application/zip",
    "application/json",
    "application/x-npy",
    "application/x-npz",
]
MEDIA_TYPES: tuple[MediaType, ...] = get_args(MediaType)

T = TypeVar("T", bound=str)

ImageFormat = Literal["png", "jpeg", "webp"]
"""Of the image files in a zip."""

Format = Literal["png", "jpeg", "webp", "zip", "json", "npy", "npz"]
"""What the body may say in place of the header Accept."""

_FORMATS: dict[Format, MediaType] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "zip": "application/zip",
    "json": "application/json",
    "npy": "application/x-npy",
    "npz": "application/x-npz",
}
LABELLED_TYPES: tuple[MediaType, ...] = ("application/zip", "application/json")
IMAGES_PER_PIECE = 16  # of a streamed array
MAX_ACCEPT = 1024  # characters; parsing takes time that grows faster than the length
MANIFEST = "manifest.json"
_SUFFIXES: dict[ImageFormat, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
MAX_SEEDS_HEADER = 2048  # bytes; a default nginx answers 502 above 4 kB of headers


def choose(accept: str | None, format: Format | None, count: int) -> MediaType:
    """The answer's media type. Raises Problem 406 if the caller accepts none that can hold ``count`` images.

    Several images in a ``format`` of images come as a zip of such files, see `zipped_format`.
    """
    if count > 1 and format in _SUFFIXES:
        return "application/zip"
    offers = [_FORMATS[format]] if format else _acceptable(accept or "*/*", count)
    fitting = [offer for offer in offers if count == 1 or not offer.startswith("image/")]
    if fitting:
        return fitting[0]
    if offers:
        detail = (
            f"{offers[0]} holds one image; request count 1, or "
            f"{', '.join(each for each in MEDIA_TYPES if not each.startswith('image/'))}, or a zip of such images with "
            f"'format': '{offers[0].removeprefix('image/')}'"
        )
    else:
        detail = f"none of the accepted media types can be served; available: {', '.join(MEDIA_TYPES)}"
    raise Problem(406, "not-acceptable", detail)


def zipped_format(format: Format | None) -> ImageFormat:
    """The format of the image files in a zip."""
    return format if format == "jpeg" or format == "webp" else "png"


def choose_labelled(accept: str | None, format: Format | None) -> MediaType:
    """The media type of an answer with labels. Raises Problem 422 if the caller accepts none that can hold them."""
    offers = [_FORMATS[format]] if format else _acceptable(accept or "*/*", 2)
    if fitting := [each for each in offers if each in LABELLED_TYPES]:
        return fitting[0]
    asked = f"'format': '{format}'" if format else f"'Accept: {(accept or '')[:MAX_ACCEPT]}'"
    raise invalid(
        "/labels",
        f"{asked} cannot hold labels; send 'Accept: {' or '.join(LABELLED_TYPES)}' or 'format': 'zip' or 'json', or "
        "get /models/NAME/versions/VERSION/images/SEED/mask.png beside an image",
    )


def _acceptable(accept: str, count: int) -> list[MediaType]:
    """The media types that an Accept header allows, best first; equal ones by how well they suit the count."""
    if accept in MEDIA_TYPES:  # what most clients send: the parser would take longer than the rest of this function
        return [each for each in MEDIA_TYPES if each == accept]
    suited: list[MediaType] = sorted(MEDIA_TYPES, key=lambda each: each.startswith("image/") != (count == 1))
    return suited if accept == "*/*" else _ranked(accept, suited)


def negotiated(request: Request, offers: Sequence[str]) -> str:
    """The best of the offered media types by the header Accept, the first of equal ones. Raises Problem 406."""
    accept = ", ".join(request.headers.getlist("accept")) or "*/*"  # several lines are one list
    if found := _ranked(accept, offers):
        return found[0]
    detail = f"none of the accepted media types can be served; available: {', '.join(offers)}"
    raise Problem(406, "not-acceptable", detail)


def _ranked(accept: str, offers: Sequence[T]) -> list[T]:
    """Those of the offers that an Accept header allows, best first; equal ones in the order of the offers."""
    if len(accept) > MAX_ACCEPT:  # what comes later is ignored
        accept = accept[:MAX_ACCEPT].rpartition(",")[0]
    # "q=.2" is not valid, but Java's HttpURLConnection sends it by default; werkzeug ignores ranges with an invalid q.
    parsed = parse_accept_header(accept.replace("q=.", "q=0."), MIMEAccept)
    # Parameters other than q are ignored: "application/json; charset=utf-8" accepts JSON.
    ranges = MIMEAccept([(each.partition(";")[0], quality) for each, quality in parsed])
    quality = {each: ranges.quality(each) for each in offers}
    return sorted((each for each in offers if quality[each] > 0), key=lambda each: -quality[each])


def answer(
    media_type: MediaType, images: Images, headers: Mapping[str, str], zipped: ImageFormat = "png", root_path: str = ""
) -> Response:
    """The HTTP response that holds the images. Without ``images.pngs`` (JSON only) it holds their addresses alone.

    ``headers`` are those of every media type; an npy adds X-Seeds, since its body cannot say them. ``zipped`` is the
    format of the files in a zip, ``root_path`` begins the URLs in JSON.

    All images exist before the first byte is sent. Answers of many images are streamed piece by piece, which avoids a
    second copy of them in memory.
    """
    version = images.version
    if media_type == "image/png":
        return Response(images.pngs[0], media_type=media_type, headers=headers)
    if media_type == "image/jpeg" or media_type == "image/webp":
        format: ImageFormat = "jpeg" if media_type == "image/jpeg" else "webp"
        encoded = _encoded(images.pngs[0], images.addresses[0], version, format)
        return Response(encoded, media_type=media_type, headers=headers)
    if media_type == "application/zip":
        return StreamingResponse(_zip(version, images, zipped), media_type=media_type, headers=headers)
    if media_type == "application/x-npy":
        headers = {**headers, **_seeds_header(images.addresses)}
    if media_type == "application/json":
        return StreamingResponse(_json(version, images, root_path), media_type=media_type, headers=headers)
    pieces = _PIECES[media_type](version, images)
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


def _encoded(png: bytes, address: Address, version: ModelVersion, format: ImageFormat) -> bytes:
    """An image file of a format, which says what the image is."""
    if format == "png":
        return png
    comment = f"Synthetic: true; Flawsmith {version.ref}; {address.defect_type}; seed {address.seed}"
    if address.attributes:
        comment += f"; {attributes_text(address.attributes)}"
    return encode(Image.open(io.BytesIO(png)), format, comment, version.digital_source_type)


def _seeds_header(addresses: Sequence[Address]) -> dict[str, str]:
    """``X-Seeds: crazing:5-7,12;scratches:9``, the seeds of each type as ranges, or `X-Seeds-Omitted` if it is long."""
    seeds: dict[str, list[int]] = {}
    for address in addresses:
        seeds.setdefault(address.defect_type, []).append(address.seed)
    text = ";".join(f"{quote(defect_type, safe='')}:{_ranges(each)}" for defect_type, each in seeds.items())
    if len(text) > MAX_SEEDS_HEADER:
        return {"X-Seeds-Omitted": str(len(addresses))}
    return {"X-Seeds": text}


def _ranges(seeds: Sequence[int]) -> str:
    """``[5, 6, 7, 12]`` -> ``"5-7,12"``."""
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _json(version: ModelVersion, images: Images, root_path: str) -> Iterator[bytes]:
    yield b'{"model": %s, "images": [' % json.dumps(version.ref).encode()
    for number, address in enumerate(images.addresses):
        entry: dict[str, Any] = {
            "seed": address.seed,
            **address.to_json(),
            "url": f"{root_path}{image_path(version, address)}",
        }
        if images.pngs:
            entry["data"] = base64.b64encode(images.pngs[number]).decode()
        if images.wanted_labels:
            with_data = bool(images.pngs)
            entry |= label_fields(images.labels[address], images.wanted_labels, with_data=with_data)
        if images.nearest:
            near = images.nearest[number]
            entry["nearest"] = {"file": near.file, "distance": near.distance, "percentile": near.percentile}
        yield (b", " if number else b"") + json.dumps(entry).encode()
    yield b"]}"


def _zip(version: ModelVersion, images: Images, format: ImageFormat) -> Iterator[bytes]:
    folders = folder_names(version.classes, reserved=(MANIFEST,))
    files = [f"{folders[each.defect_type]}/{each.seed}{_SUFFIXES[format]}" for each in images.addresses]
    entries = [
        {"file": file, "seed": each.seed, **each.to_json()} for file, each in zip(files, images.addresses, strict=True)
    ]
    masks = list[tuple[str, bytes]]()
    if wanted := images.wanted_labels:
        for entry, address in zip(entries, images.addresses, strict=True):
            labels = images.labels[address]
            entry |= label_fields(labels, wanted, with_data=False)
            if wanted == "mask":
                entry["mask"] = entry["file"].removesuffix(_SUFFIXES[format]) + "_mask.png"
                masks.append((entry["mask"], labels.mask))
    manifest = {
        "model": version.ref,
        "synthetic": True,
        **_origin(version),
        "images": entries,
    }
    content = json.dumps(manifest, indent=1).encode()
    pictures = (
        (file, _encoded(png, address, version, format))  # one after another: many encoded images are never in memory
        for file, png, address in zip(files, images.pngs, images.addresses, strict=True)
    )
    yield from zip_pieces(chain([(MANIFEST, content)], pictures, masks))


def _origin(version: ModelVersion) -> dict[str, str]:
    """What files beside images say of their origin; nothing of a version of an earlier release, as its images."""
    source_type = version.digital_source_type
    return {"digital_source_type": term_url(source_type)} if source_type else {}


def _npz(version: ModelVersion, images: Images) -> Iterator[bytes]:
    seeds = np.array([each.seed for each in images.addresses], np.int64)
    types = np.array([each.defect_type for each in images.addresses])
    arrays = [
        ("images.npy", b"".join(_npy(version, images))),
        ("seeds.npy", _saved(seeds)),
        ("types.npy", _saved(types)),
    ]
    if any(each.attributes for each in images.addresses):
        asked = np.array([attributes_text(each.attributes) for each in images.addresses])
        arrays.append(("attributes.npy", _saved(asked)))
    arrays += [(f"{name}.npy", _saved(np.array(url))) for name, url in _origin(version).items()]
    yield from zip_pieces(arrays)  # an npz file is a zip of npy files


def _saved(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _npy(version: ModelVersion, images: Images) -> Iterator[bytes]:
    height_width = decode_pixels(images.pngs[0]).shape
    header = io.BytesIO()
    layout = {"descr": "|u1", "fortran_order": False, "shape": (len(images.pngs), *height_width)}
    np.lib.format.write_array_header_1_0(header, layout)
    yield header.getvalue()
    for start in range(0, len(images.pngs), IMAGES_PER_PIECE):
        yield np.stack(list(map(decode_pixels, images.pngs[start : start + IMAGES_PER_PIECE]))).tobytes()


_PIECES: dict[MediaType, Callable[[ModelVersion, Images], Iterator[bytes]]] = {
    "application/x-npy": _npy,
    "application/x-npz": _npz,
}
