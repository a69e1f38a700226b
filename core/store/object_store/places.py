"""Places of a bucket: what `Path` is for a store in a folder."""

import io
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from flawsmith.core.store.object_store.entries import Entry, StoredFile
from flawsmith.core.store.object_store.tree import Holding

if TYPE_CHECKING:
    from flawsmith.core.store.object_store.store import BucketStore

WHOLE_BYTES = 8 * 2**20  # up to this size a file that is opened is read into memory
_MAGIC = frozenset("*?[")
_ROOT = PurePosixPath()


class BucketPlace:
    """A relative path in a store's bucket; see `Place`."""

    __slots__ = ("_path", "store")

    def __init__(self, store: "BucketStore", path: PurePosixPath) -> None:
        self.store, self._path = store, path

    def __str__(self) -> str:
        """The relative path; empty for the whole store."""
        return "" if self._path == _ROOT else str(self._path)

    def __repr__(self) -> str:
        return f"BucketPlace({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BucketPlace) and self._path == other._path and self.store is other.store

    def __hash__(self) -> int:
        return hash(self._path)

    def __lt__(self, other: Any, /) -> bool:
        if not isinstance(other, BucketPlace):
            return NotImplemented
        return self._path < other._path

    @property
    def name(self) -> str:
        return self._path.name

    @property
    def stem(self) -> str:
        return self._path.stem

    @property
    def suffix(self) -> str:
        return self._path.suffix

    @property
    def parent(self) -> "BucketPlace":
        return BucketPlace(self.store, self._path.parent)

    def __truediv__(self, name: str, /) -> "BucketPlace":
        return BucketPlace(self.store, self._path / name)

    def with_name(self, name: str, /) -> "BucketPlace":
        return BucketPlace(self.store, self._path.with_name(name))

    def relative_to(self, other: "BucketPlace") -> PurePosixPath:
        """The rest of the path. Raises ValueError."""
        return self._path.relative_to(other._path)

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        return self._file() is not None

    def is_dir(self) -> bool:
        found = self._found()
        if found is None:
            return self.store.tree.has_below(str(self))
        return found.entry.folder and (not found.inner or any(True for _ in _inside(found)))

    def iterdir(self) -> Iterator["BucketPlace"]:
        """Raises FileNotFoundError, NotADirectoryError."""
        found = self._found()
        if found is None:
            folders, entries = self.store.tree.children(str(self))
            names = [*folders, *(name for name, _ in entries)]
        elif not found.entry.folder or found.inner in found.entry.files:
            raise NotADirectoryError(f"{self} is a file in the artifact store")
        else:
            names = list(dict.fromkeys(each.partition("/")[0] for each in _inside(found)))
        if not names:
            raise self._missing()
        return iter([self / name for name in names])

    def glob(self, pattern: str, /) -> Iterator["BucketPlace"]:
        """As `Path.glob` does, without ``**``."""
        first, _, rest = pattern.partition("/")
        if not _MAGIC & set(first):
            matches = [self / first]
        else:
            try:
                matches = [each for each in self.iterdir() if fnmatchcase(each.name, first)]
            except (FileNotFoundError, NotADirectoryError):
                matches = []
        for each in matches:
            if rest:
                yield from each.glob(rest)
            elif _MAGIC & set(first) or each.exists():
                yield each

    def stat(self) -> os.stat_result:
        """Size, time, and an inode that changes with the content. Raises FileNotFoundError."""
        found = self._found()
        file = _file_of(found) if found else None
        if found is None or (file is None and not self.is_dir()):
            raise self._missing()
        kind = stat.S_IFREG if file else stat.S_IFDIR
        inode, at = int(found.entry.id[:15], 16), found.entry.at
        values = (kind | 0o400, inode, 0, 1, 0, 0, file.size if file else 0, int(at), int(at), int(at))
        return os.stat_result(values, {"st_mtime": at, "st_mtime_ns": int(at * 1e9)})

    def read_bytes(self) -> bytes:
        """Raises FileNotFoundError, DamagedBlob."""
        return self.store.content(*self._known())

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """Raises FileNotFoundError, DamagedBlob."""
        entry, file = self._known()
        if file.blob and file.size > WHOLE_BYTES:
            return self.store.opened(entry, file)
        return io.BytesIO(self.store.content(entry, file))

    def read_range(self, start: int, stop: int) -> bytes:
        """These bytes of a file, without a copy of all on the local disk; their digest is not checked."""
        _, file = self._known()
        if file.blob is None:
            return (file.data or b"")[start:stop]
        return self.store.bucket.read(file.blob, file.offset + start, file.offset + min(stop, file.size))

    def unlink(self, missing_ok: bool = False) -> None:
        """Raises FileNotFoundError."""
        if not self.store.remove_file(str(self)) and not missing_ok:
            raise self._missing()

    def _found(self) -> Holding | None:
        return self.store.tree.find(str(self)) if str(self) else None

    def _file(self) -> StoredFile | None:
        found = self._found()
        return _file_of(found) if found else None

    def _known(self) -> tuple[Entry, StoredFile]:
        found = self._found()
        file = _file_of(found) if found else None
        if found is None or file is None:
            raise self._missing()
        return found.entry, file

    def _missing(self) -> FileNotFoundError:
        return FileNotFoundError(f"there is no {self} in the artifact store")


def _file_of(found: Holding) -> StoredFile | None:
    return found.entry.files.get(found.inner)


def _inside(found: Holding) -> Iterator[str]:
    """The names of all files in a folder of an entry, from that folder on."""
    start = f"{found.inner}/" if found.inner else ""
    return (each[len(start) :] for each in found.entry.files if each.startswith(start))
