"""Pictures whose files are sound but unusual: more than 8 bits, odd layouts, junk in metadata, empty alpha."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.conftest import zipped

from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.images import UnusableImage, decode_photograph

GRAY = np.asarray(Image.radial_gradient("L").resize((48, 40)))
COLOUR = np.stack([GRAY, np.roll(GRAY, 9, 0), np.roll(GRAY, 9, 1)], axis=-1)


def decode(data: bytes) -> np.ndarray:
    return np.asarray(decode_photograph(data, max_pixels=1_000_000, min_side=16).image)


def close(pixels: np.ndarray, expected: np.ndarray) -> bool:
    return pixels.shape == expected.shape and int(np.abs(pixels.astype(int) - expected).max()) <= 1


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes, wrong: bool = False) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ wrong)


def with_chunk(png: bytes, *chunks: bytes) -> bytes:
    """The PNG with more chunks behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def png_16(values: np.ndarray, *chunks: bytes) -> bytes:
    """A PNG of 16 bits a channel, gray, colour or with alpha."""
    height, width, channels = *values.shape[:2], values.shape[2] if values.ndim == 3 else 1
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(values: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **{"photometric": "minisblack", **options})
    return buffer.getvalue()


def twelve(values: np.ndarray) -> np.ndarray:
    return ((values.astype(np.uint32) * 4095 + 127) // 255).astype(np.uint16)


def packed_12(values: np.ndarray) -> bytes:
    """A TIFF with BitsPerSample 12: two values in three bytes."""
    high, low = values[:, ::2].astype(np.uint16), values[:, 1::2].astype(np.uint16)
    data = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], axis=-1).astype(np.uint8).tobytes()
    tags = [
        (256, values.shape[1]), (257, values.shape[0]), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1),
        (278, values.shape[0]), (279, len(data)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        png_16(twelve(GRAY), chunk(b"sBIT", b"\x0c")),
        tiff(twelve(GRAY), extratags=[(281, "H", 1, 4095, True)]),
        packed_12(twelve(GRAY)),
        png_16(twelve(GRAY)),
        tiff(twelve(GRAY)),
        tiff(twelve(GRAY), byteorder=">", compression="zlib"),
        png_16((GRAY.astype(np.uint16) << 2) | 3),
    ],
    ids=["sBIT", "MaxSampleValue", "BitsPerSample", "PNG", "TIFF", "TIFF, big-endian", "10 bits"],
)
def test_gray_values_of_fewer_than_16_bits_are_scaled_by_their_range(data: bytes) -> None:
    assert close(decode(data), GRAY)


@pytest.mark.parametrize(
    "data",
    [
        png_16(twelve(COLOUR), chunk(b"sBIT", b"\x0c\x0c\x0c")),
        png_16(twelve(COLOUR)),
        tiff(twelve(COLOUR), photometric="rgb"),
        tiff(twelve(COLOUR), photometric="rgb", byteorder=">"),
        tiff(twelve(np.moveaxis(COLOUR, -1, 0)), photometric="rgb", planarconfig="separate"),
    ],
    ids=["sBIT", "PNG", "TIFF", "TIFF, big-endian", "TIFF, planes"],
)
def test_colours_of_fewer_than_16_bits_are_scaled_by_their_range(data: bytes) -> None:
    assert close(decode(data), COLOUR)


def test_a_turned_png_with_few_bits_is_turned() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    data = with_chunk(png_16(twelve(COLOUR)), chunk(b"eXIf", turned.tobytes()))
    assert close(decode(data), np.rot90(COLOUR, -1))


@pytest.mark.parametrize(
    "data",
    [
        png_16(GRAY.astype(np.uint16) * 257, chunk(b"sBIT", b"\x0c")),  # scaled to 16 bits, as the specification asks
        tiff(GRAY.astype(np.uint16) * 257, extratags=[(281, "H", 1, 4095, True)]),
        tiff(GRAY.astype(np.uint16) * 257),
    ],
)
def test_values_that_use_all_16_bits_are_scaled_as_16_bits(data: bytes) -> None:
    assert close(decode(data), GRAY)


def test_few_bits_beside_a_meaningful_alpha_are_refused() -> None:
    alpha = np.broadcast_to(twelve(GRAY)[..., None], (40, 48, 1))
    for values in (np.concatenate([twelve(COLOUR), alpha], axis=-1), np.stack([twelve(GRAY)] * 2, axis=-1)):
        with pytest.raises(UnusableImage, match="send 8 bits"):
            decode(png_16(values))


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    return Datasets(ArtifactStore(tmp_path / "store"), Settings())


def stored(datasets: Datasets, tmp_path: Path, files: dict[str, bytes]) -> tuple[list[np.ndarray], list[str]]:
    """The stored pictures, in the order of their brightness, and the warnings."""
    (tmp_path / "upload").write_bytes(zipped(files))
    dataset, _ = datasets.add_archive("set", tmp_path / "upload")
    folder = datasets.store.path("datasets", dataset.id, "images")
    assert {path.suffix for path in folder.iterdir()} == {".png"}
    return sorted((np.asarray(Image.open(path)) for path in folder.iterdir()), key=np.mean), dataset.warnings


@pytest.mark.parametrize("save", [png_16, tiff])
def test_undeclared_values_are_scaled_by_the_range_of_the_whole_set_with_a_warning(
    datasets: Datasets, tmp_path: Path, save: Callable[[np.ndarray], bytes]
) -> None:
    dark, bright = twelve(GRAY // 8), twelve(GRAY)
    pictures, warnings = stored(datasets, tmp_path, {"pits/1": save(dark), "pits/2": save(bright)})
    assert close(pictures[0], GRAY // 8)
    assert close(pictures[1], GRAY)
    assert [warning for warning in warnings if "4,095 (12 bits) was taken for white" in warning]


def test_a_dark_picture_of_a_set_with_16_bits_stays_dark(datasets: Datasets, tmp_path: Path) -> None:
    files = {"1": png_16(twelve(COLOUR)), "2": png_16(COLOUR.astype(np.uint16) * 257)}
    pictures, warnings = stored(datasets, tmp_path, files)
    assert close(pictures[0], COLOUR // 16)
    assert close(pictures[1], COLOUR)
    assert not warnings


def test_declared_values_are_scaled_without_a_warning(datasets: Datasets, tmp_path: Path) -> None:
    declared = chunk(b"sBIT", b"\x0c")
    files = {"1": png_16(twelve(GRAY // 8), declared), "2": png_16(twelve(GRAY), declared)}
    pictures, warnings = stored(datasets, tmp_path, files)
    assert close(pictures[0], GRAY // 8)
    assert not warnings


def test_photographs_are_scaled_by_their_set_and_each_mask_by_itself(datasets: Datasets, tmp_path: Path) -> None:
    marks = np.zeros(GRAY.shape, np.uint16)
    marks[4:8, 6:9] = 3  # the number of a type of defects
    files = {f"images/{name}.png": png_16(twelve(GRAY // part)) for name, part in (("dark", 8), ("bright", 1))}
    pictures, warnings = stored(
        datasets, tmp_path, files | {f"masks/{name}.png": png_16(marks) for name in ("dark", "bright")}
    )
    assert close(pictures[0], GRAY // 8)
    assert close(pictures[1], GRAY)
    assert [warning for warning in warnings if warning.startswith("2 photographs have 16 bits")]
    [dataset] = datasets.list()
    masks = list(datasets.store.path("datasets", dataset.id, "masks").iterdir())
    assert [np.array_equal(np.asarray(Image.open(path)), marks) for path in masks] == [True, True]
    assert not list(datasets.store.path("datasets", dataset.id).rglob("*.upload"))


def test_masks_of_16_bits_do_not_change_what_is_white_in_photographs(datasets: Datasets, tmp_path: Path) -> None:
    mask = np.zeros(GRAY.shape, np.uint16)
    mask[4:8, 6:9] = 65535
    files = {f"images/{number}.png": png_16(twelve(GRAY // number)) for number in (1, 8)}
    pictures, _ = stored(datasets, tmp_path, files | {f"masks/{number}.png": png_16(mask) for number in (1, 8)})
    assert close(pictures[0], GRAY // 8)
    assert close(pictures[1], GRAY)


def test_clean_photographs_and_those_of_defects_have_one_white(datasets: Datasets, tmp_path: Path) -> None:
    files = {f"dents/{number}.png": png_16(twelve(GRAY // number)) for number in (8, 9)}
    pictures, _ = stored(datasets, tmp_path, files | {"good/1.png": png_16(twelve(GRAY))})
    assert close(pictures[0], GRAY // 9)
    assert close(pictures[1], GRAY // 8)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}], ids=str)
def test_a_tiff_where_white_is_zero_is_not_a_negative(bits: int, options: dict[str, object], byteorder: str) -> None:
    values = {8: GRAY, 12: twelve(GRAY), 16: GRAY.astype(np.uint16) * 257}[bits]
    white = values.dtype.type((1 << bits) - 1)
    assert close(decode(tiff(white - values, photometric="miniswhite", byteorder=byteorder, **options)), GRAY)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}], ids=str)
def test_a_tiff_with_a_plane_for_each_channel_is_not_scrambled(
    byteorder: str, dtype: type, options: dict[str, object]
) -> None:
    values = np.moveaxis(COLOUR, -1, 0).astype(dtype) * (257 if dtype is np.uint16 else 1)
    data = tiff(values, photometric="rgb", planarconfig="separate", byteorder=byteorder, **options)
    assert close(decode(data), COLOUR)


def test_the_orientation_of_every_kind_of_tiff_is_applied() -> None:
    for values, options in (
        (twelve(COLOUR), {"photometric": "rgb"}),
        (COLOUR, {"photometric": "rgb"}),
        (COLOUR.astype(np.uint16) * 257, {"photometric": "rgb"}),
        (np.moveaxis(COLOUR, -1, 0).astype(np.uint16) * 257, {"photometric": "rgb", "planarconfig": "separate"}),
    ):
        assert close(decode(tiff(values, extratags=[(274, "H", 1, 6, True)], **options)), np.rot90(COLOUR, -1))


@pytest.mark.parametrize(
    "data",
    [
        tiff(GRAY.astype(np.int16) - 200),
        tiff(GRAY.astype(np.int8)),
        tiff(GRAY.astype(np.uint32) << 20),
        tiff(GRAY.astype(np.float32)),
        tiff(GRAY.astype(">i2") * 100 - 9000, byteorder=">", compression="zlib"),
    ],
    ids=["negative", "signed 8 bits", "32 bits", "float", "negative, big-endian"],
)
def test_tiff_values_that_are_not_read_are_refused_with_what_would_be_right(data: bytes) -> None:
    with pytest.raises(UnusableImage, match="send "):
        decode(data)


def exif_segment(data: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data


PNG, JPEG = saved(Image.fromarray(COLOUR), "PNG"), saved(Image.fromarray(COLOUR), "JPEG", quality=95)
LARGE_TEXT = b"Comment\0\0" + zlib.compress(bytes(80_000_000))


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(PNG, chunk(b"zTXt", LARGE_TEXT)),
        with_chunk(PNG, chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(80_000_000)))),
        with_chunk(PNG, chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(80_000_000)))),
        with_chunk(PNG, chunk(b"iCCP", b"profile\0\7junk")),
        with_chunk(PNG, chunk(b"tEXt", b"Comment\0hello", wrong=True)),
        with_chunk(PNG, chunk(b"gAMA", b"x", wrong=True), chunk(b"pHYs", b"junk"), chunk(b"tIME", b"")),
        with_chunk(PNG, chunk(b"eXIf", b"junk" * 99)),
        with_chunk(PNG, chunk(b"eXIf", b"MM\0*\0\0\0\x08", wrong=True)),
        PNG[:-12] + chunk(b"tEXt", b"Comment\0at the end", wrong=True) + PNG[-12:],
        PNG + b"junk behind the end",
        PNG[:-1] + b"\0",
        JPEG[:2] + exif_segment(b"Exif\0\0junk" * 99) + JPEG[2:],
        JPEG[:2] + exif_segment(b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 90) + JPEG[2:],
        JPEG[:2] + exif_segment(b"http://ns.adobe.com/xap/1.0/\0junk") * 2000 + JPEG[2:],
        JPEG[:2] + b"\xff\xe2" + struct.pack(">H", 40) + b"ICC_PROFILE\0\x09\x01" + bytes(24) + JPEG[2:],
        JPEG[:2] + b"\xff\xe2" + struct.pack(">H", 20) + b"MPF\0junk".ljust(18, b"\xff") + JPEG[2:],
        JPEG + b"junk behind the end",
    ],
    ids=[
        "zTXt", "iTXt", "iCCP", "broken iCCP", "wrong checksum", "short chunks", "PNG EXIF", "EXIF checksum",
        "last text", "PNG tail", "checksum of the end", "JPEG EXIF", "EXIF too long", "many APP1", "broken ICC",
        "broken MPF", "JPEG tail",
    ],
)  # fmt: skip
def test_metadata_that_is_thrown_away_does_not_matter(data: bytes) -> None:
    expected = decode(JPEG if data.startswith(JPEG[:2]) else PNG)
    assert np.array_equal(decode(data), expected)


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"tRNS"])
def test_a_wrong_checksum_of_the_pixels_is_refused(kind: bytes) -> None:
    palette = Image.fromarray(COLOUR).quantize(16)
    data = bytearray(saved(palette, "PNG", transparency=3))
    start = data.index(kind)
    (length,) = struct.unpack(">I", data[start - 4 : start])
    data[start + 4 + length] ^= 1
    with pytest.raises(UnusableImage, match=f"{kind.decode()} of the PNG has a wrong checksum"):
        decode(bytes(data))


def test_an_animated_png_is_refused() -> None:
    frames = [Image.fromarray(np.roll(GRAY, shift, 0)) for shift in (0, 5)]
    with pytest.raises(UnusableImage, match="animation"):
        decode(saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))


def bmp_32(alpha: int, version: int) -> bytes:
    """A BMP of 32 bits with a header of version 4 or 5, whose alpha is one value."""
    size = {4: 108, 5: 124}[version]
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    pixels = np.dstack([COLOUR[::-1, :, ::-1], np.full(GRAY.shape, alpha, np.uint8)]).tobytes()
    header = struct.pack("<IiiHHIIiiII", size, 48, 40, 1, 32, 3, len(pixels), 2835, 2835, 0, 0) + masks
    return b"BM" + struct.pack("<IHHI", 14 + size + len(pixels), 0, 0, 14 + size) + header.ljust(size, b"\0") + pixels


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("alpha", [0, 255])
def test_the_empty_alpha_of_a_bmp_is_ignored(version: int, alpha: int) -> None:
    assert np.array_equal(decode(bmp_32(alpha, version)), COLOUR)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_an_alpha_of_zeros_in_another_format_is_ignored(format: str) -> None:
    picture = Image.fromarray(COLOUR).convert("RGBA")
    picture.putalpha(0)
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    assert np.array_equal(decode(saved(picture, format, **options)), COLOUR)
