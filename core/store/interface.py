"""What the house asks of an artifact store, whether it is a folder or a bucket.

`ArtifactStore` keeps it in a folder, `BucketStore` in a bucket of an S3 server. Both promise the same:

- A file is replaced as a whole, a folder is published as a whole, and both last once the call returns.
- A published folder is never overwritten. Of two publishers one gets AlreadyPublished.
- Whoever lost a `Claim` publishes nothing more under it.
- What is read is what was written; else the read raises ValueError.
"""

import os
import shutil
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol, runtime_checkable


class StoreAway(OSError):
    """The artifact store does not answer, or refuses. Nothing was published; the same call may succeed later."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.strerror = message


class Place(Protocol):
    """Where a file or folder of a store is: the part of `pathlib.Path` that the house uses.

    A folder store's places are paths. Only the store and claims write; a place can only be removed.
    """

    @property
    def name(self) -> str: ...
    @property
    def stem(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def parent(self) -> "Place": ...
    def __truediv__(self, name: str, /) -> "Place": ...
    def __lt__(self, other: Any, /) -> bool: ...
    def with_name(self, name: str, /) -> "Place": ...
    def exists(self) -> bool: ...
    def is_dir(self) -> bool: ...
    def is_file(self) -> bool: ...
    def iterdir(self) -> Iterator["Place"]: ...
    def glob(self, pattern: str, /) -> Iterator["Place"]: ...
    def stat(self) -> os.stat_result: ...
    def read_bytes(self) -> bytes: ...
    def open(self, mode: Literal["rb"]) -> BinaryIO: ...
    def unlink(self, missing_ok: bool = False) -> None: ...


@runtime_checkable
class HasRanges(Protocol):
    """A place of which a part can be read by itself."""

    def read_range(self, start: int, stop: int) -> bytes: ...


class Stamp(NamedTuple):
    """Changes with a file, or with the names in a folder.

    Attributes:
        identity: equal for what is unchanged.
        changed_ns: Unix time of the change where a second one within the same tick would not show; else 0.
    """

    identity: Hashable
    changed_ns: int


class Claim(Protocol):
    """The sole right to publish the results of one piece of work, until another process makes a later claim on it."""

    @property
    def name(self) -> str:
        """Tells it from other claims on the same work."""

    @property
    def held(self) -> bool:
        """Whether no later claim is known of."""

    def staged(self) -> AbstractContextManager[Path]:
        """An empty local folder, to be published under the claim. Raises ClaimLost."""

    def write_bytes(self, path: Place, data: bytes) -> None:
        """Replaces the file atomically. Raises ClaimLost."""

    def publish_file(self, staged: Path, path: Place) -> None:
        """Moves a local file to its place, atomically. Raises ClaimLost."""


class Store(Protocol):
    """Files and folders, addressed by relative paths such as ``models/scratches/versions/1``."""

    @property
    def staging(self) -> Path:
        """The local folder of what is not published yet."""

    def path(self, *parts: str) -> Place:
        """The place of these parts. Raises OutsideStore for parts that lead elsewhere."""

    def write_json(self, path: Place, value: Any) -> None:
        """Replaces the file atomically."""

    def write_bytes(self, path: Place, data: bytes) -> None:
        """Replaces the file atomically."""

    def put_file(self, staged: Path, path: Place) -> None:
        """Moves a file of a staged folder to its place, atomically, in place of one that is there."""

    def read_json(self, path: Place) -> Any:
        """Raises FileNotFoundError if there is no such file."""

    def append(self, path: Place, line: bytes) -> None:
        """Adds a line, which has no line feed, to a file that only grows; a bucket has a file for each line."""

    def staged(self) -> AbstractContextManager[Path]:
        """An empty local folder. It is removed at the end unless it was published."""

    def publish(self, staged: Path, destination: Place, like: Place | None = None) -> None:
        """Makes a staged folder visible in one step.

        Args:
            staged: the folder.
            destination: where it appears.
            like: a published folder; files in folders, such as ``images/000000.png``, that are equal to its files of
                the same names are stored once.

        Raises:
            AlreadyPublished: something is published there; the staged folder is unchanged.
        """

    def move(self, place: Place, destination: Place) -> None:
        """Moves a published folder. Raises AlreadyPublished."""

    def claim(self, place: Place) -> Claim:
        """Makes the newest claim on the work whose claims are kept at this place; every earlier one is lost."""

    def locked(self, folder: Place) -> AbstractContextManager[None]:
        """Holds an exclusive lock on a folder, among all processes that use the store."""

    def delete(self, path: Place) -> None:
        """Removes a folder; a published one disappears in one step. A missing folder is not an error."""

    def stamp(self, *parts: str) -> Stamp | None:
        """The stamp of a file or folder; None where there is none."""

    def bytes_below(self, *parts: str) -> int:
        """Bytes of all that is stored below a place. What several files share counts once."""

    def added_bytes(self, staged: Path, like: Place | None = None) -> int:
        """The bytes that a staged folder adds to the store when it is published with ``like``."""

    def sweep(self) -> None:
        """Removes what killed processes left behind."""

    def writable(self) -> bool:
        """Tries to write a file; returns whether that worked."""


def children(folder: Place) -> list[Place]:
    """What lies in a folder, in no order; nothing where there is no such folder."""
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def copy_file(place: Place, destination: Path) -> None:
    """Copies a file to the local disk."""
    with place.open("rb") as file, destination.open("wb") as copy:
        shutil.copyfileobj(file, copy)


def read_range(place: Place, start: int, stop: int) -> bytes:
    """These bytes of a file; from a bucket, without a copy of the whole file on the local disk."""
    if isinstance(place, HasRanges):
        return place.read_range(start, stop)
    with place.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


@contextmanager
def local_file(place: Place) -> Iterator[Path]:
    """A file as one of the local disk: itself, or a copy of the same name until the end of the block."""
    if isinstance(place, Path):
        yield place
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / place.name
        copy_file(place, copy)
        yield copy
