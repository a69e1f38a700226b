"""All files below a place in the artifact store."""

from collections.abc import Iterator
from contextlib import suppress

from flawsmith.core.store.interface import Place


def files_below(place: Place, name: str = "") -> Iterator[tuple[str, Place]]:
    """Each file, with its path from there; without locks and files that are being written. Sorted by names.

    What is deleted meanwhile may be missing.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        for each in sorted(place.iterdir()):
            path = f"{name}/{each.name}" if name else each.name
            if each.is_dir():
                yield from files_below(each, path)
            elif not each.name.startswith("."):
                yield path, each


def size_of(place: Place) -> int:
    """The bytes of all files below a place. A file that two datasets share counts for both."""
    total = 0
    for _, each in files_below(place):
        with suppress(FileNotFoundError):
            total += each.stat().st_size
    return total
