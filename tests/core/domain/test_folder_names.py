"""Folder names that every file system takes."""

import unicodedata

import pytest

from flawsmith.core.domain.folder_names import folder_names


@pytest.mark.parametrize("name", ["crazing", "dünn", "キズ", "rolled-in scale", "a.b", "1", "a" * 64])
def test_a_harmless_type_is_its_own_folder(name: str) -> None:
    assert folder_names([name]) == {name: name}


@pytest.mark.parametrize(
    "name",
    [
        *("C:", "a/b", "a\\b", "a?", "a*", "<a>", 'a"', "a|b", "a.", "a ", " a", "..", ".", "...", " ", ""),
        *("CON", "con", "nul.txt", "aux .txt", "COM1", "LPT9.tar.gz", "COM\u00b9", "CONIN$", "conout$"),
        *("a\tb", "a\nb", "a\u202eb", "\x00"),
    ],
)
def test_a_type_that_some_system_refuses_has_another_folder(name: str) -> None:
    folder = folder_names([name])[name]
    assert folder.strip(" .") == folder != ""
    assert not set(folder) & set('<>:"/\\|?*')
    assert folder.isprintable()
    stem = folder.split(".")[0].rstrip().upper()
    devices = {f"{port}{number}" for port in ("COM", "LPT") for number in "123456789\u00b9\u00b2\u00b3"}
    assert stem not in {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *devices}


@pytest.mark.parametrize(
    "types",
    [
        ["Pits", "pits", "PITS"],
        ["ä", "a\u0308", "Ä"],
        ["a:", "a?", "a_"],
        ["pits-2", "Pits", "pits"],
        ["Pits", "pits", "pits-2"],
        ["stra\u00dfe", "STRASSE"],
        ["manifest.json", "MANIFEST.json", "manifest.json-2"],
    ],
)
def test_no_system_takes_two_types_for_one_folder(types: list[str]) -> None:
    folders = folder_names(types, reserved=["manifest.json"])
    assert list(folders) == types
    seen = {unicodedata.normalize("NFC", folder).casefold() for folder in folders.values()}
    assert len(seen | {"manifest.json"}) == len(types) + 1
