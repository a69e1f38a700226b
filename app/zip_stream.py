"""A zip archive that is written piece by piece, while the pieces before are already sent.

The entries are stored, not compressed, and have a fixed date: the same files give the same bytes. zipstream-ng cannot
do that (its date is always the current time), and its stored entries end with data descriptors, which sequential
readers such as Java's ZipInputStream refuse.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format can express


def zip_pieces(files: Iterable[tuple[str, bytes]], files_per_piece: int) -> Iterator[bytes]:
    """The bytes of a zip archive of (name, content) pairs, a piece for every ``files_per_piece`` files."""
    sink = _UnsentBytes()
    with zipfile.ZipFile(sink, "w") as archive:
        for number, (name, content) in enumerate(files, 1):
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
            if number % files_per_piece == 0:
                yield sink.drain()
    yield sink.drain()


class _UnsentBytes(io.BytesIO):
    """A file that keeps only what was not sent yet; positions count from the start of the whole file.

    zipfile seeks back to the entry that it is writing, to fill in its header, and never further.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0

    def tell(self) -> int:
        return self._sent + super().tell()

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        return self._sent + super().seek(position - self._sent if whence == io.SEEK_SET else position, whence)

    def drain(self) -> bytes:
        """Returns what was written since the last call, and forgets it."""
        data = self.getvalue()
        self._sent += len(data)
        super().seek(0)
        self.truncate()
        return data
