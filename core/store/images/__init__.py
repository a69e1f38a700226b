"""Decodes uploaded pictures within bounds, encodes images, and lays pictures out on sheets."""

from flawsmith.core.store.images.decoding import UnusableImage, decode_photograph
from flawsmith.core.store.images.encoding import encode, encode_png
from flawsmith.core.store.images.sheets import contact_sheet, grid

__all__ = ["UnusableImage", "contact_sheet", "decode_photograph", "encode", "encode_png", "grid"]
