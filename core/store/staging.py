"""Local folders for what is not published yet. A lock says whose they are, so that a sweep spares those in use."""

import fcntl
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MAX_STAGED_SECONDS = 6 * 3600
OWNER = ".owner"  # suffix of the file beside a staged folder that its process keeps locked


@contextmanager
def staged_folder(staging: Path) -> Iterator[Path]:
    """An empty folder in the staging folder, removed at the end."""
    staging.mkdir(parents=True, exist_ok=True)
    folder = staging / secrets.token_hex(8)
    with _owned(folder):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep_staging(staging: Path) -> None:
    """Removes what killed processes left.

    What has no owner's mark (an earlier release made it) is removed once it is older than `MAX_STAGED_SECONDS`.
    """
    for mark in staging.glob(f"*{OWNER}"):
        with suppress(FileNotFoundError), mark.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # its process lives
                continue
            shutil.rmtree(mark.with_suffix(""), ignore_errors=True)
            mark.unlink(missing_ok=True)
    for folder in staging.glob("*"):
        with suppress(FileNotFoundError):
            old = folder.stat().st_mtime < time.time() - MAX_STAGED_SECONDS
            if old and folder.is_dir() and not folder.with_suffix(OWNER).exists():
                shutil.rmtree(folder, ignore_errors=True)
            elif old and folder.name.startswith("."):  # its process was killed before it became a mark
                folder.unlink()


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Marks a folder as this process's own until the end of the block, or of the process.

    The mark is a locked file; the kernel unlocks it when its process ends, however it ends. It gets its name only when
    it is locked, so that a sweep never takes a new mark for one that was left.
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
