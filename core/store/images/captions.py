"""Fonts for the names of defect types, which may be in any script."""

from dataclasses import dataclass
from functools import lru_cache

import fontpkg_noto_sans
from anyascii import anyascii
from PIL import ImageFont

FONT_SIZE = 14  # pixels
_SHIPPED = str(fontpkg_noto_sans.ROOT / "files" / "NotoSans[wdth,wght].ttf")  # Latin, Greek, Cyrillic, Devanagari
# Fonts of other scripts are too large to ship (16 MB for Chinese, Japanese and Korean): used where the machine has one.
_OF_THE_MACHINE = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansCJKjp-Regular.otf", "wqy-zenhei.ttc"),
    *("DroidSansFallbackFull.ttf", "msyh.ttc", "malgun.ttf", "PingFang.ttc", "Arial Unicode.ttf", "arialuni.ttf"),
    *("DejaVuSans.ttf", "NotoSansThai-Regular.ttf", "NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf"),
)
_UNASSIGNED = "\U0010fffe"  # no font has it


@dataclass(frozen=True)
class Caption:
    """A text and the font that has all its letters."""

    text: str
    font: ImageFont.FreeTypeFont


def caption(name: str) -> Caption:
    """The name in the first font that has all its letters. If none has, missing ones become Latin: kizu."""
    for font in _fonts():
        if not _missing(font, name):
            return Caption(name, font)
    shipped = _fonts()[0]
    missing = _missing(shipped, name)
    return Caption("".join(anyascii(each) if each in missing else each for each in name), shipped)


@lru_cache(maxsize=1)
def _fonts() -> tuple[ImageFont.FreeTypeFont, ...]:
    """The shipped font, then those of the machine."""
    found = [ImageFont.truetype(_SHIPPED, FONT_SIZE)]
    for name in _OF_THE_MACHINE:
        try:
            found.append(ImageFont.truetype(name, FONT_SIZE))
        except OSError:
            continue
    return tuple(found)


def _missing(font: ImageFont.FreeTypeFont, text: str) -> set[str]:
    """The characters that the font shows as it shows one that does not exist."""
    unknown = _picture(font, _UNASSIGNED)
    return {each for each in set(text) if _picture(font, each) == unknown}


def _picture(font: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
