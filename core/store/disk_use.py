"""How many bytes files on the local disk take."""

import os
from collections.abc import Iterator
from pathlib import Path


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder. A file that several names share counts once; what vanishes meanwhile not."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for found in _files(folder):
        identity = found.st_dev, found.st_ino
        if found.st_nlink > 1:
            if identity in seen:
                continue
            seen.add(identity)
        total += found.st_size
    return total


def unshared_bytes(folder: Path) -> int:
    """Bytes of the files below a folder that have no other name."""
    return sum(found.st_size for found in _files(folder) if found.st_nlink == 1)


def _files(folder: Path) -> Iterator[os.stat_result]:
    try:
        with os.scandir(folder) as entries:
            for each in entries:
                if each.is_dir(follow_symlinks=False):
                    yield from _files(Path(each.path))
                else:
                    try:
                        yield each.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
    except (FileNotFoundError, NotADirectoryError):
        return
