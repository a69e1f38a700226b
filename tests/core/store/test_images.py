"""Decoding uploaded pictures, encoding images, and sheets."""

import io
import struct
import zlib
from typing import Literal
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.conftest import photograph

from flawsmith.core.store.images import UnusableImage, contact_sheet, decode_photograph, encode, encode_png, grid
from flawsmith.core.store.images.captions import caption


def decode(data: bytes) -> Image.Image:
    return decode_photograph(data, max_pixels=1_000_000, min_side=16).image


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


GRADIENT = Image.linear_gradient("L").resize((40, 40))
WRONG_CHECKSUM = photograph()[:-16] + bytes([photograph()[-16] ^ 255]) + photograph()[-15:]  # of the pixels


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
def test_every_common_format_is_decoded(format: str) -> None:
    assert decode(saved(GRADIENT, format)).size == (40, 40)


@pytest.mark.parametrize(
    ("mode", "format", "becomes"),
    [
        ("1", "PNG", "L"),
        ("LA", "PNG", "L"),
        ("P", "PNG", "L"),
        ("RGB", "PNG", "L"),
        ("RGBA", "PNG", "L"),
        ("CMYK", "JPEG", "RGB"),
        ("CMYK", "TIFF", "RGB"),
        ("I;16", "PNG", "L"),
        ("I;16", "TIFF", "L"),
    ],
)
def test_every_common_mode_becomes_8_bit_gray_or_colour(mode: str, format: str, becomes: str) -> None:
    picture = GRADIENT
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(GRADIENT).astype(np.uint16) * 257)
    elif mode == "CMYK":
        picture = Image.merge("RGB", (GRADIENT, GRADIENT.rotate(90), GRADIENT.rotate(180))).convert("CMYK")
    else:
        picture = GRADIENT.convert(mode)
    assert decode(saved(picture, format)).mode == becomes


def test_16_bit_grays_are_scaled_to_8_bits() -> None:
    picture = Image.fromarray(np.asarray(GRADIENT).astype(np.uint16) * 257)
    assert np.array_equal(np.asarray(decode(saved(picture, "PNG"))), np.asarray(GRADIENT))


def test_transparent_pixels_become_black() -> None:
    picture = Image.new("RGBA", (20, 20), (200, 100, 50, 0))
    picture.paste((200, 100, 50, 255), (0, 0, 10, 20))
    decoded = decode(saved(picture, "PNG"))
    assert (decoded.getpixel((2, 2)), decoded.getpixel((18, 2))) == ((200, 100, 50), (0, 0, 0))


def test_pixels_of_a_transparent_gray_value_become_black() -> None:
    assert decode(saved(Image.new("L", (20, 20), 200), "PNG", transparency=200)).getpixel((0, 0)) == 0


def test_only_the_pixels_of_an_uploaded_file_are_kept() -> None:
    decoded = decode(saved(GRADIENT, "PNG", icc_profile=b"no profile at all"))
    assert Image.open(io.BytesIO(encode_png(decoded))).info == {}


def test_a_jpeg_with_a_second_picture_is_decoded_to_its_first() -> None:
    colour = Image.open(io.BytesIO(photograph(1, mode="RGB")))
    assert decode(saved(colour, "MPO", save_all=True, append_images=[colour.rotate(90)])).size == colour.size


def test_a_picture_is_oriented_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(saved(GRADIENT.resize((40, 20)), "JPEG", exif=exif)).size == (20, 40)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html><body>not found</body></html>", "not an image"),
        (photograph()[:200], "broken"),
        (photograph(format="JPEG", side=100)[:1500], "broken"),
        (photograph(side=8), "too small: 8x8"),
        (png_header(65_535, 65_535), "too many pixels"),
        (png_header(30_000, 1), "too small"),
        (png_header(65_535, 65_535), "65535x65535"),
        (png_header(400, 400), "broken"),
        (WRONG_CHECKSUM, "broken"),
        (saved(GRADIENT.convert("F"), "TIFF"), "floating-point"),
        (saved(Image.fromarray(np.full((20, 20), 2**30, np.int32)), "TIFF"), "32-bit"),
        (saved(GRADIENT, "GIF", save_all=True, append_images=[GRADIENT.rotate(90)]), "animation"),
        (saved(GRADIENT, "WEBP", save_all=True, append_images=[GRADIENT.rotate(90)]), "animation"),
        (saved(GRADIENT, "TIFF", save_all=True, append_images=[GRADIENT.rotate(90)]), "stack of 2"),
    ],
)
def test_an_unusable_picture_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnusableImage, match=reason):
        decode(data)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"]),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=8),
    st.integers(1, 2000),
)
def test_random_damage_gives_a_picture_or_a_refusal(format: str, changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(saved(GRADIENT, format))
    for position, value in changes:
        data[position % len(data)] = value
    try:
        assert decode(bytes(data[:cut])).mode in ("L", "RGB")
    except UnusableImage as error:
        assert str(error)


def test_a_png_keeps_text_in_any_script() -> None:
    text = {"Synthetic": "true", "Defect-Type": "Kratzer ä 傷"}
    assert Image.open(io.BytesIO(encode_png(GRADIENT, text))).text == text


def test_a_grid_places_pictures_row_by_row() -> None:
    sheet = grid([Image.new("L", (4, 4), value) for value in (10, 20, 30)], columns=2, gap=1)
    assert sheet.size == (9, 9)
    assert [sheet.getpixel(at) for at in ((0, 0), (5, 0), (0, 5))] == [10, 20, 30]


def test_a_contact_sheet_is_in_colour_if_any_picture_is() -> None:
    colour = Image.new("RGB", (10, 20), (255, 0, 0))
    assert contact_sheet({"a": [GRADIENT], "b": [colour, GRADIENT]}).mode == "RGB"
    assert contact_sheet({"a": [GRADIENT]}).mode == "L"


def test_a_contact_sheet_is_wide_enough_for_long_names() -> None:
    assert contact_sheet({"m" * 64: [GRADIENT]}).width > 64 * 8


@pytest.mark.parametrize(
    ("name", "latin"),
    [
        ("dünn", None),
        ("царапины", None),
        ("ρωγμή", None),
        ("vết xước", None),
        ("キズ", "kizu"),
        ("划痕-2", "HuaHen-2"),
        ("균열", "GyunYeol"),
        ("รอย", "roy"),
        ("שריטה", "sryth"),
    ],
)
def test_a_name_in_any_script_is_readable_on_a_sheet(name: str, latin: str | None) -> None:
    shown = caption(name)
    assert shown.text in ({name} if latin is None else {name, latin})  # the machine may have a font of that script
    unknown = [bytes(shown.font.getmask(each)) for each in ("\U0010fffe", "\uffff")]
    assert not any(bytes(shown.font.getmask(each)) in unknown for each in shown.text)


def test_two_names_of_one_length_in_any_script_make_two_sheets() -> None:
    for one, other in (("划痕", "裂纹"), ("キズ", "ワレ"), ("хлам", "скол"), ("균열", "긁힘")):
        assert contact_sheet({one: [GRADIENT]}).tobytes() != contact_sheet({other: [GRADIENT]}).tobytes()


def test_long_strokes_of_a_caption_stay_above_the_pictures() -> None:
    white = Image.new("L", (10, 10), 255)
    sheets = [contact_sheet({name: [white]}, side=16) for name in ("agjpqy", "Ấgжщ", "a")]
    below_caption = [sheet.crop((4, 24, 20, 40)).tobytes() for sheet in sheets]
    assert below_caption[0] == below_caption[1] == below_caption[2]


@pytest.mark.parametrize("format", ["jpeg", "webp"])
@pytest.mark.parametrize("name", ["crazing", "dünn", "キズ", "царапина", "<b>&amp;", "\N{PERSONAL COMPUTER}"])
def test_a_description_in_any_script_can_be_read_from_exif_and_xmp(format: Literal["jpeg", "webp"], name: str) -> None:
    with Image.open(io.BytesIO(encode(GRADIENT, format, f"Synthetic: true; {name}"))) as image:
        raw = image.getexif()[0x010E]  # Pillow reads the tag as Latin-1
        assert raw.encode("latin-1").decode() == f"Synthetic: true; {name}"
        [description] = ElementTree.fromstring(image.info["xmp"].decode()).iter(
            "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
        )
        assert description.text == f"Synthetic: true; {name}"
