"""Damages files and documents as strangers do: by accident, and on purpose."""

import json
import struct
import zlib
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

NUMBERS = (0, 1, 2, 7, 255, 256, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
TOKENS = (
    b"\0", b"\xff" * 8, b"%n%s", b"../../etc/passwd", b"[" * 20_000, b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"PK\x05\x06",
    b"\xef\xbb\xbf", b"\r\n\r\n", b'"', b"9" * 5000, b"1e999", b"NaN", b"\\ud800",
    "\N{RIGHT-TO-LEFT OVERRIDE}".encode(),
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2.5, 1e308, -1e308, 1e-320, float("nan"), float("inf"), -float("inf"), 10**400, 2**63,
    "", "a", "\ud800", "\0", "../../etc/passwd", "a" * 5000, "1", "nan", "½", [], {}, [[]], [{}], [1, 2], [[1e308, 0]],
    {"a": {"b": [None]}},
)  # fmt: skip

_SIZES = {2: "H", 4: "I", 8: "Q"}  # of struct
CHUNKS = (
    b"gAMA", b"cHRM", b"pHYs", b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"tRNS", b"PLTE", b"sRGB", b"eXIf", b"acTL", b"fcTL",
    b"fdAT", b"IDAT", b"IHDR", b"zzZz",
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, most: int = 4) -> bytes:
    """The bytes with a few changes: other bytes, other numbers, parts cut out, doubled or put in, a cut end."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(("byte", "number", "cut", "double", "token", "end")))
        if kind == "byte":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "number":
            size, order = draw(st.sampled_from((2, 4, 8))), draw(st.sampled_from("<>"))
            number = draw(st.sampled_from(NUMBERS)) % 256**size
            data[at : at + size] = struct.pack(order + _SIZES[size], number)
        elif kind == "token":
            data[at:at] = draw(st.sampled_from(TOKENS))
        else:
            length = draw(st.integers(1, 64))
            if kind == "cut":
                del data[at : at + length]
            elif kind == "double":
                data[at:at] = data[at : at + length]
            else:
                del data[at:]
    return bytes(data)


@st.composite
def changed(draw: st.DrawFn, document: Any, most: int = 3) -> Any:
    """A JSON document in which a few values are others, missing, or twice in their list."""
    whole = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(0, most))):
        places = list(_places(whole))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(("value", "value", "without", "double")))
        if kind == "value":
            holder[key] = deepcopy(draw(st.sampled_from(VALUES)))  # a later change may be within it
        elif kind == "without":
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, holder[key])
    return whole


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a document, with each of its keys or positions."""
    if isinstance(document, dict | list):
        for key in list(document) if isinstance(document, dict) else range(len(document)):
            yield document, key
            yield from _places(document[key])


@st.composite
def changed_json(draw: st.DrawFn, document: Any) -> bytes:
    """A changed document as a file, which may be damaged as well, or in another encoding."""
    text = json.dumps(draw(changed(document)))
    encoding = draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16")))
    return draw(damaged(text.encode(encoding), 1))


@st.composite
def changed_png(draw: st.DrawFn, png: bytes) -> bytes:
    """A PNG with other chunks, whose checksums are right, so that a decoder reads what is in them."""
    chunks = list(_chunks(png))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(chunks)))
        kind = draw(st.sampled_from(CHUNKS))
        content = draw(st.one_of(st.binary(max_size=40), st.just(b"a\0\0" + zlib.compress(bytes(200_000)))))
        if draw(st.booleans()) or not chunks:
            chunks.insert(at, (kind, content))
        else:
            old_kind, old = chunks[at % len(chunks)]
            chunks[at % len(chunks)] = old_kind, draw(damaged(old, 2))
    packed = [struct.pack(">I", len(data)) + kind + data + _checksum(kind + data) for kind, data in chunks]
    return draw(damaged(b"\x89PNG\r\n\x1a\n" + b"".join(packed), 1))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")
