"""Receives a bundle: as a part of a form, or as the whole body."""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from flawsmith.app.problems import Problem, invalid
from flawsmith.app.uploads import STALL_SECONDS, receive, too_large
from flawsmith.core.settings import Settings

FIELD = "bundle"
_RAW = ("application/zip", "application/octet-stream")

BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {FIELD: {"type": "string", "format": "binary"}},
                "required": [FIELD],
            }
        },
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},  # clients read no zip as a body
    },
}
"""For OpenAPI."""


@dataclass(frozen=True)
class ReceivedBundle:
    """A bundle on disk; ``digest`` (SHA-256) tells it from others."""

    path: Path
    digest: bytes


async def receive_bundle(request: Request, folder: Path, settings: Settings) -> ReceivedBundle:
    """Reads the body into a file in ``folder``.

    Raises:
        Problem: 415 neither a form nor a zip, 400 malformed, 408 the client stalled, 413 too many bytes, 422 no bundle.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in _RAW:
        return await _receive_raw(request, folder / FIELD, settings.max_upload_bytes)
    if media_type != "multipart/form-data":
        detail = (
            f"send the bundle as the whole body, with 'Content-Type: {_RAW[0]}', or as the part '{FIELD}' of a form"
        )
        raise Problem(415, "unsupported-media-type", detail)
    upload = await receive(request, folder, settings)
    fields = [*upload.fields, *(field for field, *_ in upload.files)]
    if unknown := next((each for each in fields if each != FIELD), None):
        raise invalid(f"/{unknown}", f"unknown part; send one file as '{FIELD}', and nothing else")
    if len(upload.files) != 1:
        raise invalid(f"/{FIELD}", f"send one file as '{FIELD}'")
    return ReceivedBundle(upload.files[0][2], upload.digest)


async def _receive_raw(request: Request, path: Path, limit: int) -> ReceivedBundle:
    if int(request.headers.get("content-length", "0")) > limit:
        raise too_large(limit)
    digest, received = hashlib.sha256(), 0
    chunks = aiter(request.stream())
    with path.open("wb") as file:
        try:
            while chunk := await asyncio.wait_for(anext(chunks, b""), STALL_SECONDS):
                received += len(chunk)
                if received > limit:
                    raise too_large(limit)
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
        except TimeoutError:
            detail = f"no data arrived for {STALL_SECONDS:g} s; send the body again"
            raise Problem(408, "too-slow", detail) from None
    return ReceivedBundle(path, digest.digest())
