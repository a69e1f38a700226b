"""Packs small archives, and reads them."""

import io
import tarfile
import zipfile
from pathlib import Path

from flawsmith.core.store.archives import Bounds, Member, read_archive

BOUNDS = Bounds(entries=1000, unpacked_bytes=100_000_000, file_bytes=50_000_000)


def read(tmp_path: Path, data: bytes, bounds: Bounds = BOUNDS) -> list[Member]:
    path = tmp_path / "archive"
    path.write_bytes(data)
    return list(read_archive(path, bounds))


def refusals(members: list[Member]) -> dict[str, str | None]:
    return {member.path: member.refusal for member in members}


def tarred(entries: list[tarfile.TarInfo | tuple[str, bytes]], mode: str = "w:gz", **options: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                archive.addfile(info, io.BytesIO(entry[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_entry(name: str, data: bytes = b"x", **fields: int) -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(info, data)
    return buffer.getvalue()
