"""An image in the body of a request, decoded within the bounds of datasets' photographs."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fastapi import Request

from flawsmith.app.problems import invalid
from flawsmith.app.while_connected import while_connected
from flawsmith.core.settings import Settings
from flawsmith.core.store.datasets.decoding_budget import DecodingBudget
from flawsmith.core.store.images import DecodedFile, DecoderProcess, UnusableImage


@dataclass(frozen=True)
class SentImage:
    """A photograph that a caller sent.

    Attributes:
        file: decoded to 8 bits a channel, gray or colour, upright.
        sha256: of the file that was sent.
    """

    file: DecodedFile
    sha256: str


async def sent_image(request: Request, pointer: str, text: str, settings: Settings) -> SentImage:
    """The image of a file in base64.

    Args:
        request: with the body.
        pointer: to the value in the body.
        text: the value.
        settings: with the bounds.

    Raises:
        Problem: 422, it is no base64 or no usable image.
        ClientDisconnect: the client left meanwhile.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        detail = (
            "neither the id or name of a dataset, which has at most 64 characters, nor an image in base64 (without "
            "line breaks and the prefix of a data URL)"
        )
        raise invalid(pointer, detail) from None
    async with request.app.state.ingests:
        try:
            file = await while_connected(request, partial(_decoded, data, settings))
        except UnusableImage as error:
            raise invalid(pointer, f"the image cannot be used: {error}") from error
    return SentImage(file, hashlib.sha256(data).hexdigest())


def _decoded(data: bytes, settings: Settings, abandoned: Callable[[], bool]) -> DecodedFile:
    """Raises UnusableImage, Abandoned."""
    budget = DecodingBudget(settings.max_upload_pixels, len(data))
    with DecoderProcess(settings.max_image_pixels, settings.min_image_side, abandoned) as decoder:
        return decoder.decode(data, budget.seconds_left)
