"""The files of an upload: a folder becomes a zip, and what is sent is counted."""

import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import BinaryIO, cast

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz")
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # a constant time: the same folder is the same upload
_COPY_BYTES = 1 << 20

Source = str | PathLike[str] | Sequence[str | PathLike[str]]
Files = list[tuple[str, str, BinaryIO]]


def opened_files(source: Source, on_progress: Callable[[int, int], None] | None, stack: ExitStack) -> Files:
    """The parts of the upload, (field, file name, open file); ``stack`` closes them.

    Raises:
        ValueError: there is nothing to send.
        OSError: a file cannot be read.
    """
    paths = _paths(source)
    if len(paths) == 1 and paths[0].is_dir():
        opened: Files = [("archive", f"{paths[0].resolve().name}.zip", stack.enter_context(_packed(paths[0])))]
    elif len(paths) == 1 and paths[0].name.lower().endswith(ARCHIVES):
        opened = [("archive", paths[0].name, stack.enter_context(paths[0].open("rb")))]
    else:
        opened = [("images", each.name, stack.enter_context(each.open("rb"))) for each in paths]
    if not opened:
        raise ValueError("nothing to upload: give a folder, an archive, or picture files")
    return counted(opened, on_progress)


def counted(opened: Files, on_progress: Callable[[int, int], None] | None) -> Files:
    """The same parts, of which ``on_progress`` is told how many bytes were sent, and all bytes."""
    if on_progress is None:
        return opened
    total = sum(os.fstat(file.fileno()).st_size for _, _, file in opened)
    progress = _Progress(on_progress, total, len(opened))
    return [(field, name, cast(BinaryIO, _Counted(file, n, progress))) for n, (field, name, file) in enumerate(opened)]


def suggested_name(source: Source) -> str:
    """A name for the dataset, after the folder or file. Raises ValueError where there is none."""
    [first, *others] = _paths(source) or [Path()]
    word = first.resolve().parent.name if others else first.resolve().name
    if not others and not first.is_dir():
        word = next((word[: -len(each)] for each in ARCHIVES if word.lower().endswith(each)), first.stem)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", word).strip("-._")[:64]
    if not name:
        raise ValueError(f"'{word}' makes no name of a dataset; give one, of letters, digits, '_', '.' and '-'")
    return name


def _paths(source: Source) -> list[Path]:
    if isinstance(source, str | PathLike):
        return [Path(source)]
    return [Path(each) for each in source]


def _packed(folder: Path) -> BinaryIO:
    """A zip of all files below the folder but hidden ones, stored: pictures hardly shrink."""
    packed = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115, the caller's stack closes it
    try:
        count = 0
        with zipfile.ZipFile(packed, "w") as archive:
            for path in _visible_files(folder):
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_EPOCH)
                with (
                    path.open("rb") as file,
                    archive.open(entry, "w", force_zip64=path.stat().st_size >= 1 << 31) as to,
                ):
                    while piece := file.read(_COPY_BYTES):
                        to.write(piece)
                count += 1
        if not count:
            raise ValueError(f"there is no file in the folder {folder}")
        packed.seek(0)
    except BaseException:
        packed.close()
        raise
    return packed


def _visible_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(place) / name


def _raise(error: OSError) -> None:
    raise error


class _Progress:
    """The bytes of all files that were sent so far."""

    def __init__(self, tell: Callable[[int, int], None], total: int, files: int) -> None:
        self._tell, self._total, self._done = tell, total, [0] * files

    def at(self, file: int, position: int) -> None:
        self._done[file:] = [position] + [0] * (len(self._done) - file - 1)
        self._tell(sum(self._done), self._total)


class _Counted:
    """An open file that tells how far it has been read. Each repetition of a call reads it from the start."""

    def __init__(self, file: BinaryIO, number: int, progress: _Progress) -> None:
        self._file, self._number, self._progress = file, number, progress
        self.fileno = file.fileno

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._progress.at(self._number, self._file.tell())
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
