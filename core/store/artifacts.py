"""The artifact store: a folder that holds everything that must last, with atomic writes.

Readers never see half of anything. A file appears by ``rename`` after ``fsync``. A folder (a dataset, a checkpoint, a
model version) is filled in a staging folder and appears by one ``rename``.
"""

import fcntl
import json
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flawsmith.core.store.claims import Claim, make_claim
from flawsmith.core.store.durable_files import sync_file, sync_folder, write_durably

MAX_STAGED_SECONDS = 6 * 3600
OWNER = ".owner"  # suffix of the file beside a staged folder that its process keeps locked
PROBE_BYTES = 64 * 1024  # a full disk still accepts an empty file


class OutsideStore(ValueError):
    """A name leads out of the artifact store: it comes from a record that somebody else wrote."""


class AlreadyPublished(Exception):
    """Something is published at that place; published folders are never overwritten."""


class ArtifactStore:
    """Files under one root, addressed by relative paths such as ``models/scratches/versions/1``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.staging = root / "staging"

    def path(self, *parts: str) -> Path:
        """The path of these parts below the root. Raises OutsideStore for parts that lead elsewhere."""
        for part in parts:
            names = part.split("/")
            if "\0" in part or any(name in ("", ".", "..") for name in names):
                raise OutsideStore(f"{part[:200]!r} is not a place in the artifact store")
        return self.root.joinpath(*parts)

    def write_json(self, path: Path, value: Any) -> None:
        """Replaces the file atomically; it is on disk when this returns."""
        self.write_bytes(path, json.dumps(value, indent=1).encode())

    def write_bytes(self, path: Path, data: bytes) -> None:
        """Replaces the file atomically; it is on disk when this returns."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            write_durably(beside, data)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)

    def put_file(self, staged: Path, path: Path) -> None:
        """Moves a file of a staged folder to its place, atomically, in place of one that is there."""
        sync_file(staged)
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(path)
        sync_folder(path.parent)

    def read_json(self, path: Path) -> Any:
        """Raises FileNotFoundError if there is no such file."""
        return json.loads(path.read_bytes())

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """An empty folder on the store's disk. It is removed at the end unless it was published."""
        self.staging.mkdir(parents=True, exist_ok=True)
        folder = self.staging / secrets.token_hex(8)
        with _owned(folder):
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def publish(self, staged: Path, destination: Path) -> None:
        """Makes a staged folder visible at its destination in one step.

        Raises:
            AlreadyPublished: the destination exists; the staged folder is unchanged.
        """
        for path in staged.rglob("*"):
            if path.is_file():
                sync_file(path)
        for folder in [staged, *(path for path in staged.rglob("*") if path.is_dir())]:
            sync_folder(folder)
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            staged.rename(destination)
        except OSError as error:
            if destination.exists():
                raise AlreadyPublished(str(destination)) from error
            raise
        sync_folder(destination.parent)

    def claim(self, place: Path) -> Claim:
        """Makes the newest claim on the work whose claims are kept in this folder; every earlier one is lost."""
        return make_claim(place, self.delete)

    @contextmanager
    def locked(self, folder: Path) -> Iterator[None]:
        """Holds an exclusive lock on a folder, among all processes that use the store."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def delete(self, path: Path) -> None:
        """Hides a folder in one step, then removes it. A missing folder is not an error."""
        self.staging.mkdir(parents=True, exist_ok=True)
        hidden = self.staging / secrets.token_hex(8)
        with suppress(FileNotFoundError):
            path.rename(hidden)
            sync_folder(path.parent)
            shutil.rmtree(hidden, ignore_errors=True)

    def sweep(self) -> None:
        """Removes what killed processes left in the staging folder, and keeps other users out of the store.

        What has no owner's mark (an earlier release made it) is removed once it is older than `MAX_STAGED_SECONDS`.
        """
        with suppress(OSError):  # an earlier release made the root readable for everyone; another user may own it
            self.root.chmod(0o700)
        for mark in self.staging.glob(f"*{OWNER}"):
            with suppress(FileNotFoundError), mark.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:  # its process lives
                    continue
                shutil.rmtree(mark.with_suffix(""), ignore_errors=True)
                mark.unlink(missing_ok=True)
        for folder in self.staging.glob("*"):
            with suppress(FileNotFoundError):
                old = folder.stat().st_mtime < time.time() - MAX_STAGED_SECONDS
                if old and folder.is_dir() and not folder.with_suffix(OWNER).exists():
                    shutil.rmtree(folder, ignore_errors=True)
                elif old and folder.name.startswith("."):  # its process was killed before it became a mark
                    folder.unlink()

    def writable(self) -> bool:
        """Tries to write a file; returns whether that worked."""
        try:
            self.write_bytes(self.root / ".probe", bytes(PROBE_BYTES))
        except OSError:
            return False
        return True


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Marks a folder as this process's own until the end of the block, or of the process.

    The mark is a locked file; the kernel unlocks it when its process ends, however it ends. It gets its name only when
    it is locked, so that `sweep` never takes a new mark for one that was left.
    """
    mark = folder.with_suffix(OWNER)
    unlocked = folder.with_name(f".{folder.name}")
    with unlocked.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        unlocked.rename(mark)
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)
