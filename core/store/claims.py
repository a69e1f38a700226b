"""Fencing: the sole right to publish the results of one piece of work, enforced by the file system."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flawsmith.core.store.durable_files import as_path, sync_file, sync_folder, write_durably
from flawsmith.core.store.interface import Place


class ClaimLost(Exception):
    """Another process made a later claim on the same work; this one can publish nothing more."""


class FolderClaim:
    """The sole right to publish the results of one piece of work, until another process makes a later claim on it.

    A claim is a numbered folder. Results are staged inside it and published by one rename out of it. A later claim
    removes the folder. So the rename of a process that was paused and lost its claim fails in the file system itself:
    there is no moment between a check and the write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def held(self) -> bool:
        """Whether no later claim was made yet."""
        return self.folder.is_dir()

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """An empty folder inside the claim. It is removed at the end unless it was published. Raises ClaimLost."""
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

    def write_bytes(self, path: Place, data: bytes) -> None:
        """Replaces the file atomically; it is on disk when this returns. Raises ClaimLost."""
        file = as_path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        with self.staged() as staged:
            write_durably(staged / file.name, data)
            (staged / file.name).replace(file)
        sync_folder(file.parent)

    def publish_file(self, staged: Path, path: Place) -> None:
        """Moves a file of the store's disk to its place; it is on disk when this returns. Raises ClaimLost."""
        sync_file(staged)
        file = as_path(path)
        with self.staged() as folder:
            staged.rename(folder / file.name)
            (folder / file.name).replace(file)
        sync_folder(file.parent)


def make_claim(place: Path, delete: Callable[[Place], None]) -> FolderClaim:
    """Makes the newest claim in a folder of claims; every earlier one is lost.

    Args:
        place: the folder that holds the claims on one piece of work.
        delete: removes a claim's folder in one step.
    """
    place.mkdir(parents=True, exist_ok=True)
    while True:
        number = 1 + max((int(entry.name.partition("-")[0]) for entry in place.iterdir()), default=0)
        # The random part makes every name unique: no later folder can stand where a lost claim stood.
        claim = FolderClaim(place / f"{number:06d}-{secrets.token_hex(4)}")
        claim.folder.mkdir()
        if max(place.iterdir()) == claim.folder:
            break
        delete(claim.folder)  # another process made a later claim in the meantime
    for entry in place.iterdir():
        if entry.name < claim.folder.name:
            delete(entry)
    return claim
