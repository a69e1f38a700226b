"""Decodes the file names of archives whose packer did not say in which encoding it wrote them."""

import codecs
from collections.abc import Iterable
from contextlib import suppress

import chardet

_WESTERN = ("cp437", "cp850", "cp1252")
_CANDIDATES = ("cp932", "gb18030", "big5", "cp949", "cp866", "cp1251", *_WESTERN)
_DETECTED_BYTES = 16 * 1024
# A letter of a Western name is seldom accented. Katakana of Shift-JIS look like accented letters, but then most are.
_MAX_ACCENTED_SHARE = 0.4
_WESTERN_SIGNS = set("°µ½¼²±·«»¡¿ªº")


def is_utf_8(name: bytes) -> bool:
    """Whether the bytes are valid UTF-8, as plain ASCII is."""
    with suppress(UnicodeDecodeError):
        name.decode()
        return True
    return False


def encoding_of(names: Iterable[bytes]) -> str:
    """The likeliest encoding of the names of one archive that are not UTF-8.

    Names are short, so all of them are judged together. Code page 437, the default of the zip format, wins wherever it
    gives plausible Western words.
    """
    sample = b""
    for name in dict.fromkeys(names):
        stem, _, suffix = name.rpartition(b".")
        sample += (stem or suffix) + b"\n"
        if len(sample) > _DETECTED_BYTES:
            break
    if not sample or _is_plausible(sample, "cp437"):
        return "cp437"
    if _has_kana(sample):
        return "cp932"
    for found in chardet.detect_all(sample, ignore_threshold=True, include_encodings=_CANDIDATES):
        if found["encoding"] is None:  # bytes that are no text
            continue
        encoding = codecs.lookup(str(found["encoding"])).name
        if encoding not in _WESTERN or _is_plausible(sample, encoding):
            return encoding
    return "cp437"


def _has_kana(sample: bytes) -> bool:
    """Whether the bytes are Shift-JIS with Japanese syllables, which other encodings hardly ever resemble."""
    with suppress(UnicodeDecodeError):
        return any("\u3041" <= character <= "\u30fa" for character in sample.decode("cp932"))
    return False


def _is_plausible(sample: bytes, encoding: str) -> bool:
    """Whether the bytes are Western words in this encoding: Latin letters, few of them accented."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    letters = [character for character in text if character.isalpha() and character not in _WESTERN_SIGNS]
    accented = [character for character in letters if not character.isascii()]
    signs = {character for character in text if not character.isascii() and not character.isalpha()}
    return (
        signs <= _WESTERN_SIGNS
        and all(character < "\u0250" for character in accented)  # Latin, with its extensions A and B
        and len(accented) <= _MAX_ACCENTED_SHARE * len(letters)
    )
