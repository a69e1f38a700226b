"""Blobs on the local disk, up to a number of bytes, for all threads and processes of a machine."""

import fcntl
import hashlib
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from flawsmith.core.store.object_store.entries import Blob

_CHECKED = 10_000  # files that this process remembers to have checked
_ABANDONED_SECONDS = 3600  # after which a file that is still arriving belongs to a process that was killed


class DamagedBlob(ValueError):
    """What the S3 server sent is not what was written."""


class BlobCache:
    """Files named by the SHA-256 of their content.

    A file appears by a rename, so that no process reads half of one, and two that fetch the same are no harm. A file
    that is removed stays whole for those who have it open. Each process checks a file's digest before it first uses it.

    Args:
        folder: of the files; it is made when it is needed.
        most: bytes of all files. A blob that is larger is kept only while it is open.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self._checked: OrderedDict[tuple[str, int, int], None] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, blob: Blob, fetch: Callable[[], Iterator[bytes]]) -> BufferedReader:
        """The blob's file, at its start.

        Args:
            blob: what it is.
            fetch: gives its content, in parts.

        Raises:
            DamagedBlob: the content that was fetched is another one.
        """
        path = self.folder / blob.sha256
        with suppress(FileNotFoundError):
            file = path.open("rb")
            if self._intact(file, blob):
                os.utime(path, (time.time(), os.fstat(file.fileno()).st_mtime))  # when it was last used
                return file
            file.close()
        return self._fetched(path, blob, fetch)

    def _intact(self, file: BufferedReader, blob: Blob) -> bool:
        """Whether the file has the blob's content; reads it once in a process."""
        status = os.fstat(file.fileno())
        known = (blob.sha256, status.st_ino, status.st_mtime_ns)
        if status.st_size != blob.size:
            return False
        if known in self._checked:
            return True
        intact = hashlib.file_digest(file, "sha256").hexdigest() == blob.sha256
        file.seek(0)
        if intact:
            self._remember(known)
        return intact

    def _remember(self, known: tuple[str, int, int]) -> None:
        with self._lock:
            self._checked[known] = None
            if len(self._checked) > _CHECKED:
                self._checked.popitem(last=False)

    def _fetched(self, path: Path, blob: Blob, fetch: Callable[[], Iterator[bytes]]) -> BufferedReader:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        arriving = self.folder / f".{secrets.token_hex(8)}"
        digest = hashlib.sha256()
        try:
            with arriving.open("wb") as file:
                for part in fetch():
                    digest.update(part)
                    file.write(part)
            if digest.hexdigest() != blob.sha256:
                raise DamagedBlob("an object in the bucket is not what was written there")
            opened = arriving.open("rb")
            arriving.rename(path)
        except BaseException:
            arriving.unlink(missing_ok=True)
            raise
        status = os.fstat(opened.fileno())
        self._remember((blob.sha256, status.st_ino, status.st_mtime_ns))
        self._evict()
        return opened

    def _evict(self) -> None:
        """Removes the files that were not used for longest, until the others fit."""
        with (self.folder / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept, now = [], time.time()
            for each in os.scandir(self.folder):
                with suppress(FileNotFoundError):
                    status = each.stat()
                    if not each.name.startswith("."):
                        kept.append((status.st_atime, status.st_size, each.path))
                    elif each.name != ".lock" and status.st_mtime < now - _ABANDONED_SECONDS:
                        Path(each.path).unlink()
            left = sum(size for _, size, _ in kept)
            for _, size, path in sorted(kept):
                if left <= self.most:
                    break
                Path(path).unlink(missing_ok=True)
                left -= size
