"""Names in uploaded archives: separators and encodings of other systems."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import zipped
from tests.core.store.packing import read, tarred, zip_entry

from flawsmith.core.store.archives import Member


def flagless(names: dict[str, bytes], encoding: str, extra: Callable[[bytes], bytes] = lambda name: b"") -> bytes:
    """A zip whose names are written in an encoding that nothing declares, with an extra field for each."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in names.items():
            packed = name.encode(encoding)
            info = zipfile.ZipInfo("x")
            # zipfile writes a name that is ASCII or, with the flag of UTF-8, any other; these are put in afterwards
            info.filename = f"{len(archive.infolist()):03d}".ljust(len(packed), "x")
            info.extra = extra(packed)
            archive.writestr(info, data)
    written = buffer.getvalue()
    for number, name in enumerate(names):
        packed = name.encode(encoding)
        written = written.replace(f"{number:03d}".ljust(len(packed), "x").encode(), packed)
    return written


def unicode_path(name: str, of: bytes | None = None) -> Callable[[bytes], bytes]:
    """The extra field 0x7075 with this name in UTF-8, for the packed name or for another."""

    def field(packed: bytes) -> bytes:
        data = b"\x01" + struct.pack("<I", zlib.crc32(of if of is not None else packed)) + name.encode()
        return struct.pack("<HH", 0x5455, 1) + b"\0" + struct.pack("<HH", 0x7075, len(data)) + data

    return field


@pytest.mark.parametrize(
    ("name", "read_as"),
    [
        ("scratches\\a.png", "scratches/a.png"),
        ("set\\dents\\a.png", "set/dents/a.png"),
        (".\\pits\\a.png", "pits/a.png"),
        ("mixed/pits\\a.png", "mixed/pits/a.png"),
    ],
)
def test_backslashes_of_windows_packers_separate_folders(tmp_path: Path, name: str, read_as: str) -> None:
    for data in (zip_entry(name), tarred([(name, b"x")])):
        assert read(tmp_path, data) == [Member(read_as, b"x")]


def test_a_folder_entry_with_a_backslash_is_passed_over(tmp_path: Path) -> None:
    assert read(tmp_path, zipped({"pits\\": b"", "pits\\1.png": b"x"})) == [Member("pits/1.png", b"x")]


@pytest.mark.parametrize("name", ["a\\..\\..\\evil.png", "\\\\server\\share\\evil.png", "\\evil.png", "C:\\evil.png"])
def test_backslashes_that_lead_out_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    [member] = read(tmp_path, zip_entry(name))
    assert member.data is None
    assert "leads out of the archive" in str(member.refusal)


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp932", ["スクラッチ/傷01.png", "スクラッチ/傷02.png", "表面/ソ.png"]),  # their second bytes hold backslashes
        ("cp932", ["傷/1.png"]),
        ("cp932", ["打痕\\a.png"]),
        ("gbk", ["划痕/1.png", "划痕/2.png"]),
        ("gbk", ["裂纹/1.png", "气泡/1.png", "plain/1.png"]),
        ("big5", ["刮痕/1.png", "凹洞/2.png"]),
        ("cp949", ["긁힘/사진1.png", "찍힘/사진2.png"]),
        ("cp866", ["царапины/1.png", "вмятины/2.png"]),
        ("cp437", ["Risse ß/1.png", "Löcher/ü.png"]),
        ("cp437", ["Übergröße/x.png"]),
        ("cp437", ["señal/niño.png", "façade/dégât.png", "château/1.png"]),
        ("cp437", ["100 µm/1.png"]),
        ("cp850", ["São/1.png"]),
        ("utf-8", ["Risse ß/1.png", "傷/1.png"]),
    ],
)
def test_names_in_the_encoding_of_another_country_are_read(tmp_path: Path, encoding: str, names: list[str]) -> None:
    expected = [Member(name.replace("\\", "/"), b"x") for name in names]
    assert read(tmp_path, flagless(dict.fromkeys(names, b"x"), encoding)) == expected
    packed = [name.encode(encoding).decode("utf-8", "surrogateescape") for name in names]
    assert read(tmp_path, tarred([(name, b"x") for name in packed], "w", format=tarfile.GNU_FORMAT)) == expected


def test_the_name_in_the_unicode_path_field_wins(tmp_path: Path) -> None:
    for encoding in ("gbk", "utf-8"):
        data = flagless({"划痕/1.png": b"x"}, encoding, unicode_path("划痕/图1.png"))
        assert read(tmp_path, data) == [Member("划痕/图1.png", b"x")]


def test_a_unicode_path_field_of_an_earlier_name_is_ignored(tmp_path: Path) -> None:
    data = flagless({"划痕/1.png": b"x", "划痕/2.png": b"x"}, "gbk", unicode_path("old.png", of=b"old"))
    assert [member.path for member in read(tmp_path, data)] == ["划痕/1.png", "划痕/2.png"]


def test_a_unicode_path_field_cannot_lead_out_of_the_archive(tmp_path: Path) -> None:
    [member] = read(tmp_path, flagless({"a.png": b"x"}, "ascii", unicode_path("../../evil.png")))
    assert "leads out of the archive" in str(member.refusal)
