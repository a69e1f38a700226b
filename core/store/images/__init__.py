"""Decodes uploaded pictures within bounds, encodes images, and lays pictures out on sheets."""

from flawsmith.core.store.images.decoder_process import Abandoned, DecodedFile, DecoderProcess
from flawsmith.core.store.images.decoding import UnusableImage, decode_photograph
from flawsmith.core.store.images.encoding import encode, encode_png
from flawsmith.core.store.images.origin import says_synthetic
from flawsmith.core.store.images.pixels import (
    decode_pixels,
    encode_pixels,
    image_mode,
    pixel_digest,
    to_image,
    to_pixels,
)
from flawsmith.core.store.images.sheets import contact_sheet, grid
from flawsmith.core.store.images.wide_values import FULL_RANGE, ValueRange, white_of

__all__ = [
    "FULL_RANGE",
    "Abandoned",
    "DecodedFile",
    "DecoderProcess",
    "UnusableImage",
    "ValueRange",
    "contact_sheet",
    "decode_photograph",
    "decode_pixels",
    "encode",
    "encode_pixels",
    "encode_png",
    "grid",
    "image_mode",
    "pixel_digest",
    "says_synthetic",
    "to_image",
    "to_pixels",
    "white_of",
]
