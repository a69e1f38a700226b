"""The artifact store in a folder: everything that must last, with atomic writes.

Readers never see half of anything. A file appears by ``rename`` after ``fsync``. A folder (a dataset, a checkpoint, a
model version) is filled in a staging folder and appears by one ``rename``.
"""

import fcntl
import filecmp
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from flawsmith.core.store.claims import FolderClaim, make_claim
from flawsmith.core.store.disk_use import bytes_below, unshared_bytes
from flawsmith.core.store.durable_files import as_path, sync_file, sync_folder, write_durably
from flawsmith.core.store.interface import Place, Stamp
from flawsmith.core.store.staging import staged_folder, sweep_staging

PROBE_BYTES = 64 * 1024  # a full disk still accepts an empty file


class OutsideStore(ValueError):
    """A name leads out of the artifact store: it comes from a record that somebody else wrote."""


class AlreadyPublished(Exception):
    """Something is published at that place; published folders are never overwritten."""


def check_parts(parts: tuple[str, ...]) -> None:
    """Raises OutsideStore for parts of a path that lead out of a store."""
    for part in parts:
        names = part.split("/")
        if "\0" in part or any(name in ("", ".", "..") for name in names):
            raise OutsideStore(f"{part[:200]!r} is not a place in the artifact store")


class ArtifactStore:
    """Files under one root, addressed by relative paths such as ``models/scratches/versions/1``; see `Store`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.staging = root / "staging"

    def __str__(self) -> str:
        return str(self.root)

    def path(self, *parts: str) -> Path:
        """The path of these parts below the root. Raises OutsideStore for parts that lead elsewhere."""
        check_parts(parts)
        return self.root.joinpath(*parts)

    def write_json(self, path: Place, value: Any) -> None:
        """Replaces the file atomically; it is on disk when this returns."""
        self.write_bytes(path, json.dumps(value, indent=1).encode())

    def write_bytes(self, path: Place, data: bytes) -> None:
        """Replaces the file atomically; it is on disk when this returns."""
        file = as_path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            write_durably(beside, data)
            beside.replace(file)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(file.parent)

    def put_file(self, staged: Path, path: Place) -> None:
        """Moves a file of a staged folder to its place, atomically, in place of one that is there."""
        file = as_path(path)
        sync_file(staged)
        file.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(file)
        sync_folder(file.parent)

    def read_json(self, path: Place) -> Any:
        """Raises FileNotFoundError if there is no such file."""
        return json.loads(path.read_bytes())

    def append(self, path: Place, line: bytes) -> None:
        """Adds a line to a file that only grows; it is on disk when this returns."""
        file_path = as_path(path)
        file_path.parent.mkdir(parents=True, exist_ok=True)
        with file_path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # on a network file system two appends could overwrite one another
            file.write(_line_end(file.fileno()) + line + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def staged(self) -> AbstractContextManager[Path]:
        """An empty folder on the store's disk. It is removed at the end unless it was published."""
        return staged_folder(self.staging)

    def publish(self, staged: Path, destination: Place, like: Place | None = None) -> None:
        """Makes a staged folder visible at its destination in one step.

        Raises:
            AlreadyPublished: the destination exists; the staged folder is unchanged.
        """
        if like is not None:
            _share_files(staged, as_path(like))
        for path in staged.rglob("*"):
            if path.is_file():
                sync_file(path)
        for folder in [staged, *(path for path in staged.rglob("*") if path.is_dir())]:
            sync_folder(folder)
        self.move(staged, destination)

    def move(self, place: Place, destination: Place) -> None:
        """Moves a folder in one step. Raises AlreadyPublished where the destination exists."""
        target = as_path(destination)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            as_path(place).rename(target)
        except OSError as error:
            if target.exists():
                raise AlreadyPublished(str(destination)) from error
            raise
        sync_folder(target.parent)

    def claim(self, place: Place) -> FolderClaim:
        """Makes the newest claim on the work whose claims are kept in this folder; every earlier one is lost."""
        return make_claim(as_path(place), self.delete)

    @contextmanager
    def locked(self, folder: Place) -> Iterator[None]:
        """Holds an exclusive lock on a folder, among all processes that use the store."""
        path = as_path(folder)
        path.mkdir(parents=True, exist_ok=True)
        with (path / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def delete(self, path: Place) -> None:
        """Hides a folder in one step, then removes it. A missing folder is not an error."""
        folder = as_path(path)
        self.staging.mkdir(parents=True, exist_ok=True)
        hidden = self.staging / secrets.token_hex(8)
        with suppress(FileNotFoundError):
            folder.rename(hidden)
            sync_folder(folder.parent)
            shutil.rmtree(hidden, ignore_errors=True)

    def bytes_below(self, *parts: str) -> int:
        """Bytes of all files below a place. A file that several names share counts once."""
        return bytes_below(self.path(*parts))

    def added_bytes(self, staged: Path, like: Place | None = None) -> int:
        """The bytes that a staged folder adds to the store when it is published with ``like``."""
        if like is not None:
            _share_files(staged, as_path(like))
        return unshared_bytes(staged)

    def stamp(self, *parts: str) -> Stamp | None:
        """The time and identity of a file or folder; None where there is none."""
        # Every look of the API at a version comes here. A string and os.stat take a fifth of the time that Path takes.
        try:
            found = os.stat(f"{self.root}/{'/'.join(parts)}")  # noqa: PTH116
        except OSError:
            return None
        return Stamp((found.st_mtime_ns, found.st_nlink, found.st_ino, found.st_size), found.st_mtime_ns)

    def sweep(self) -> None:
        """Removes what killed processes left in the staging folder, and keeps other users out of the store."""
        with suppress(OSError):  # an earlier release made the root readable for everyone; another user may own it
            self.root.chmod(0o700)
        sweep_staging(self.staging)

    def writable(self) -> bool:
        """Tries to write a file; returns whether that worked."""
        try:
            self.write_bytes(self.root / ".probe", bytes(PROBE_BYTES))
        except OSError:
            return False
        return True


def _line_end(handle: int) -> bytes:
    """A line feed where the last line was cut off by a crash or a full disk."""
    size = os.fstat(handle).st_size
    return b"\n" if size and os.pread(handle, 1, size - 1) != b"\n" else b""


def _share_files(staged: Path, like: Path) -> None:
    """Replaces files in staged folders by hard links to the equal ones of the same names in a published folder."""
    for path in staged.glob("*/*"):
        stored = like / path.relative_to(staged)
        with suppress(OSError):  # a file system without hard links keeps a copy
            if path.is_file() and not path.samefile(stored) and filecmp.cmp(path, stored, shallow=False):
                linked = path.with_suffix(".link")
                linked.hardlink_to(stored)
                linked.replace(path)
