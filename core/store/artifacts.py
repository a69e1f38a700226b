"""The artifact store: a folder that holds all that must last, and the few ways to write into it.

Readers never see half of anything: a file appears by ``rename`` after ``fsync``, a folder (a dataset, a
checkpoint, a model version) is filled beside its place and appears by one ``rename``.
"""

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LONGEST_STAGED = 6 * 3600  # seconds
PROBE_BYTES = 64 * 1024  # a full disk still takes an empty file


class AlreadyPublished(Exception):
    """A folder of that name is there already; what is published is never overwritten."""


class ClaimLost(Exception):
    """Somebody made a later claim on the same work; nothing more can be published under this one."""


class Claim:
    """The sole right to publish one work's results, until somebody makes a later claim on it.

    A claim is a numbered folder. What is to be published is filled inside it and appears by one rename out of it. A
    later claim takes the folder away, so that the rename of a process that slept through its loss fails in the file
    system itself: there is no moment between a check and the deed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def held(self) -> bool:
        return self.folder.is_dir()

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """An empty folder inside the claim, gone afterwards unless it was published. Raises ClaimLost."""
        folder = self.folder / secrets.token_hex(8)
        try:
            folder.mkdir()
            yield folder
        except Exception as error:
            if self.held:
                raise
            raise ClaimLost(f"the claim {self.folder} was followed by a later one") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def write_bytes(self, path: Path, data: bytes) -> None:
        """Replaces the file atomically; it is on disk when this returns. Raises ClaimLost."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.staged() as staged:
            _write_durably(staged / path.name, data)
            (staged / path.name).replace(path)
        sync_folder(path.parent)


class ArtifactStore:
    """Files under one root, addressed by relative paths such as ``models/scratches/versions/1``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.staging = root / "staging"

    def path(self, *parts: str) -> Path:
        return self.root.joinpath(*parts)

    def write_json(self, path: Path, value: Any) -> None:
        """Replaces the file atomically; it is on disk when this returns."""
        self.write_bytes(path, json.dumps(value, indent=1).encode())

    def write_bytes(self, path: Path, data: bytes) -> None:
        """Replaces the file atomically; it is on disk when this returns."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            _write_durably(beside, data)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)

    def read_json(self, path: Path) -> Any:
        """Raises FileNotFoundError where there is none."""
        return json.loads(path.read_bytes())

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """An empty folder on the store's own disk, gone afterwards unless it was published."""
        folder = self.staging / secrets.token_hex(8)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, staged: Path, destination: Path) -> None:
        """Makes a staged folder visible at its place in one step.

        Raises:
            AlreadyPublished: something stands there already; the staged folder is left as it was.
        """
        for file in staged.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        for folder in [staged, *(f for f in staged.rglob("*") if f.is_dir())]:
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
        """The newest claim on the work whose claims are kept in this folder; every earlier one is lost."""
        place.mkdir(parents=True, exist_ok=True)
        while True:
            number = 1 + max((int(entry.name.partition("-")[0]) for entry in place.iterdir()), default=0)
            # No name is ever used twice, so that no later folder can stand where a lost claim stood.
            claim = Claim(place / f"{number:06d}-{secrets.token_hex(4)}")
            claim.folder.mkdir()
            if max(place.iterdir()) == claim.folder:
                break
            self.delete(claim.folder)  # another process claimed meanwhile
        for entry in place.iterdir():
            if entry.name < claim.folder.name:
                self.delete(entry)
        return claim

    @contextmanager
    def locked(self, folder: Path) -> Iterator[None]:
        """Keeps every other process on the store out of a folder's like-minded blocks."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def delete(self, path: Path) -> None:
        """Takes a folder out of sight in one step, then removes it. A missing one is no error."""
        self.staging.mkdir(parents=True, exist_ok=True)
        grave = self.staging / secrets.token_hex(8)
        with suppress(FileNotFoundError):
            path.rename(grave)
            sync_folder(path.parent)
            shutil.rmtree(grave, ignore_errors=True)

    def sweep(self) -> None:
        """Removes what killed processes left in the staging folder; nothing is staged for so long."""
        for folder in self.staging.glob("*"):
            with suppress(FileNotFoundError):
                if folder.stat().st_mtime < time.time() - LONGEST_STAGED:
                    shutil.rmtree(folder, ignore_errors=True)

    def writable(self) -> bool:
        """Whether a file can be written now, by writing one."""
        try:
            self.write_bytes(self.root / ".probe", bytes(PROBE_BYTES))
        except OSError:
            return False
        return True


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder as durable as the files behind them."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
