"""Reading uploaded archives: valid, damaged and hostile ones."""

import gzip
import io
import struct
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import zipped
from tests.core.store.packing import BOUNDS, read, refusals, special, tarred, zip_entry

from flawsmith.core.store.archives import ArchiveTooLarge, Bounds, BrokenArchive, Member, NotAnArchive, read_archive


@pytest.mark.parametrize(
    "data",
    [
        zipped({"a/1": b"one", "b/2": b"two"}),
        tarred([("a/1", b"one"), ("b/2", b"two")]),
        tarred([("a/1", b"one"), ("b/2", b"two")], "w"),
        tarred([("a/1", b"one"), ("b/2", b"two")], "w", format=tarfile.GNU_FORMAT),
    ],
)
def test_zip_tar_and_tar_gz_are_recognised_by_content(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data) == [Member("a/1", b"one"), Member("b/2", b"two")]


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(600), gzip.compress(b"text", mtime=0), tarred([("a", b"x")], "w:bz2")],
)
def test_other_files_are_not_archives(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(NotAnArchive, match=r"zip, tar (or|nor) tar\.gz"):
        read(tmp_path, data)


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "..\\evil.png", "C:/evil.png"])
def test_a_path_that_leads_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    for data in (zip_entry(name), tarred([(name, b"x")])):
        [member] = read(tmp_path, data)
        assert member.data is None
        assert "leads out of the archive" in str(member.refusal)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    members = read(tmp_path, tarred([special("a/x.png", kind, "/etc/passwd"), ("a/y.png", b"y")]))
    assert "link, a device" in str(refusals(members)["a/x.png"])
    assert members[1] == Member("a/y.png", b"y")


def test_a_symbolic_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    [member] = read(tmp_path, zip_entry("x.png", b"/etc/passwd", external_attr=0o120777 << 16))
    assert "link" in str(member.refusal)


def test_the_second_file_of_a_name_is_refused(tmp_path: Path) -> None:
    members = read(tmp_path, tarred([("a/x", b"1"), ("a/x", b"2")]))
    assert [member.data for member in members] == [b"1", None]


@pytest.mark.parametrize("name", ["inner.zip", "x.tar.gz", "disguised.png"])
def test_an_archive_within_the_archive_is_not_opened(tmp_path: Path, name: str) -> None:
    [member] = read(tmp_path, zipped({name: zipped({"a": b"b"})}))
    assert "within the archive" in str(member.refusal)


def test_an_encrypted_entry_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    data = bytearray(zipped({"secret": b"x" * 50, "open": b"y"}))
    central = data.index(b"PK\x01\x02")
    for flags in (6, central + 8):
        data[flags] |= 1
    members = read(tmp_path, bytes(data))
    assert "encrypted" in str(refusals(members)["secret"])
    assert members[1].data == b"y"


def test_a_zip_entry_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    data = zipped({"a": b"hello", "b": b"good"}).replace(b"hello", b"hallo")
    members = read(tmp_path, data)
    assert "damaged" in str(refusals(members)["a"])
    assert members[1].data == b"good"


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"x"}))
    for method in (8, data.index(b"PK\x01\x02") + 10):
        data[method] = 97
    assert "packed in a way" in str(read(tmp_path, bytes(data))[0].refusal)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_an_archive_cut_in_the_middle_is_broken(tmp_path: Path, cut: float) -> None:
    files = [(f"a/{i}", bytes(range(256)) * 20) for i in range(5)]
    for data in (zipped(dict(files)), tarred(files), tarred(files, "w")[: 5 * (512 + 5120)]):
        with pytest.raises(BrokenArchive, match="cut short"):
            read(tmp_path, data[: int(len(data) * cut)])


def test_a_bomb_in_a_zip_is_refused_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(ArchiveTooLarge, match="100 times"):
        read(tmp_path, zip_entry("bomb.bmp", bytes(45_000_000), compress_type=zipfile.ZIP_DEFLATED))


def test_a_bomb_in_a_tar_gz_is_refused_even_if_its_file_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(ArchiveTooLarge, match="100 times"):
        read(tmp_path, tarred([("bomb.bmp", bytes(90_000_000))]))


def test_files_that_are_too_large_together_are_refused(tmp_path: Path) -> None:
    bounds = Bounds(entries=100, unpacked_bytes=50_000, file_bytes=10_000)
    files = {f"{i}": bytes(9_000) for i in range(10)}
    for data in (zipped(files), tarred(list(files.items()))):
        with pytest.raises(ArchiveTooLarge, match="50,000 bytes"):
            read(tmp_path, data, bounds)


def test_one_file_that_is_too_large_is_refused_alone(tmp_path: Path) -> None:
    bounds = Bounds(entries=100, unpacked_bytes=50_000, file_bytes=1_000)
    for data in (zipped({"a": bytes(2_000), "b": b"y"}), tarred([("a", bytes(2_000)), ("b", b"y")])):
        members = read(tmp_path, data, bounds)
        assert "larger than 1,000 bytes" in str(members[0].refusal)
        assert members[1].data == b"y"


def test_a_hundred_thousand_entries_are_refused_before_any_is_read(tmp_path: Path) -> None:
    path = tmp_path / "many"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(100_000):
            archive.writestr(f"{index}.png", b"")
    with pytest.raises(ArchiveTooLarge, match="50,000 entries"):
        next(read_archive(path, Bounds(50_000, 10**9, 10**6)))
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for index in range(2_000):
            archive.addfile(tarfile.TarInfo(f"{index}.png"))
    with pytest.raises(ArchiveTooLarge, match="1,000 entries"):
        next(read_archive(path, BOUNDS))


def test_a_tar_header_that_claims_gigabytes_costs_nothing(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 8 * 2**30
    data = gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises((BrokenArchive, ArchiveTooLarge)):
        read(tmp_path, data)


def pax(payload: bytes) -> bytes:
    """An extended header of a tar with this payload."""
    info = special("pax", tarfile.XHDTYPE)
    info.size = len(payload)
    return info.tobuf(tarfile.GNU_FORMAT) + payload + bytes(-len(payload) % 512)


@pytest.mark.parametrize(
    "header",
    [pax(b"1" * 60_000), pax(b"=" * 99), pax(b"14 size=-1024\n"), pax(b"v" * 300_000)],
    ids=["endless digits", "a record without length", "a negative size", "too long"],
)
def test_a_hostile_extended_header_is_refused_at_once(tmp_path: Path, header: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(BrokenArchive):
        read(tmp_path, header + tarred([("a", b"x")], "w"))
    assert time.monotonic() - began < 5


def test_thousands_of_extended_headers_before_a_file_are_read_without_recursion(tmp_path: Path) -> None:
    assert read(tmp_path, pax(b"10 a=bcde\n") * 3000 + tarred([("a", b"x")], "w")) == [Member("a", b"x")]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_in_a_tar_are_read_in_full(tmp_path: Path, format: int) -> None:
    name = "ordner/" * 30 + "Kratzer ä.png"
    assert read(tmp_path, tarred([(name, b"x")], "w", format=format)) == [Member(name, b"x")]


def test_a_sparse_file_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    for header in (pax(b"22 GNU.sparse.major=1\n"), b""):
        sparse = special("hole.png", tarfile.REGTYPE if header else tarfile.GNUTYPE_SPARSE)
        data = header + sparse.tobuf(tarfile.GNU_FORMAT) + tarred([("a", b"x")], "w")
        members = read(tmp_path, data)
        assert "sparse" in str(refusals(members)["hole.png"])
        assert members[1] == Member("a", b"x")


def test_a_damaged_header_is_not_taken_for_the_end_of_a_tar(tmp_path: Path) -> None:
    data = bytearray(tarred([(f"{i}.png", b"x" * 100) for i in range(6)], "w"))
    data[3 * 1024 + 148] ^= 1
    for damaged in (bytes(data), gzip.compress(bytes(data))):
        with pytest.raises(BrokenArchive, match="checksum"):
            read(tmp_path, damaged)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_whose_reads_cannot_be_bounded_is_not_unpacked(tmp_path: Path, method: int) -> None:
    [member] = read(tmp_path, zip_entry("bomb.png", bytes(50_000_000), compress_type=method))
    assert "use deflate" in str(member.refusal)


def test_a_utf_8_name_without_the_utf_8_flag_is_read(tmp_path: Path) -> None:
    data = bytearray(zipped({"Risse ß/1.png": b"x"}))
    for flags in (6, data.index(b"PK\x01\x02") + 8):
        data[flags + 1] &= ~8
    assert read(tmp_path, bytes(data)) == [Member("Risse ß/1.png", b"x")]


def test_two_spellings_of_a_path_count_as_one_path(tmp_path: Path) -> None:
    members = read(tmp_path, tarred([("./a/1.png", b"x"), ("a/1.png", b"y")]))
    assert members == [Member("a/1.png", b"x"), Member("a/1.png", refusal="a second file of this name")]


def test_a_zip_entry_without_a_name_is_read(tmp_path: Path) -> None:
    data = zipped({"n.png": b"x", "b": b"y"}).replace(b"n.png", b"\0.png")  # zipfile ends it at the zero
    assert [member.data for member in read(tmp_path, data)] == [b"x", b"y"]


def test_a_path_too_long_to_show_is_refused(tmp_path: Path) -> None:
    [member] = read(tmp_path, zipped({"d" * 2000 + "/1.png": b"x"}))
    assert "too long" in str(member.refusal)


def test_unprintable_names_are_made_printable(tmp_path: Path) -> None:
    data = zipped({"bell.png": b"x"}).replace(b"bell.png", b"b\x07\xff\x00.png")
    [member] = read(tmp_path, data)
    assert member.path.isprintable()
    member.path.encode()


def test_a_zip_with_a_wrong_directory_size_is_broken(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"x"}))
    end = data.index(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", 40)
    with pytest.raises(BrokenArchive):
        read(tmp_path, bytes(data))


def test_a_zip_whose_end_record_understates_its_entries_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({f"{number}": b"" for number in range(1_001)}))
    end = data.index(b"PK\x05\x06")
    data[end + 8 : end + 12] = struct.pack("<HH", 1, 1)
    with pytest.raises(ArchiveTooLarge, match="1,000 entries"):
        read(tmp_path, bytes(data))


def test_a_zip_whose_directory_is_too_large_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(20):
            info = zipfile.ZipInfo(f"{number}")
            info.comment = bytes(60_000)
            archive.writestr(info, b"")
    with pytest.raises(ArchiveTooLarge, match="1,000 entries"):
        read(tmp_path, buffer.getvalue())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["zip", "tar", "tar.gz"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8),
    st.integers(0, 12_000),
)
def test_random_damage_gives_files_or_a_refusal(
    tmp_path: Path, kind: str, changes: list[tuple[int, int]], cut: int
) -> None:
    files = {f"a/{i}.png": bytes(range(200)) for i in range(3)}
    data = zipped(files) if kind == "zip" else tarred(list(files.items()), "w" if kind == "tar" else "w:gz")
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    try:
        for member in read(tmp_path, bytes(damaged[:cut])):
            assert member.path.isprintable()
    except (NotAnArchive, BrokenArchive, ArchiveTooLarge) as error:
        assert str(error)


def v7(files: dict[str, bytes]) -> bytes:
    """A tar of Unix v7, as 7-Zip writes it: no signature, and folders are files whose names end with a slash."""
    blocks = b""
    for name, data in files.items():
        header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT)[:257].ljust(512, b"\0"))
        header[124:136] = f"{len(data):011o} ".encode()
        header[156:157] = b"\0"
        header[148:156] = b" " * 8
        header[148:156] = f"{sum(header):06o}\0 ".encode()
        blocks += bytes(header) + data + bytes(-len(data) % 512)
    return blocks + bytes(1024)


def test_a_tar_of_unix_v7_is_read(tmp_path: Path) -> None:
    data = v7({"pits/": b"", "pits/1.png": b"one", "pits/2.png": b"two"})
    for packed in (data, gzip.compress(data)):
        assert read(tmp_path, packed) == [Member("pits/1.png", b"one"), Member("pits/2.png", b"two")]


def test_a_damaged_tar_of_unix_v7_is_broken(tmp_path: Path) -> None:
    data = bytearray(v7({"1.png": b"one", "2.png": b"two"}))
    data[1024 + 148] ^= 1
    with pytest.raises(BrokenArchive, match="checksum"):
        read(tmp_path, bytes(data))
