"""A zip archive that is sent piece by piece while it is written.

stream-zip writes it. zipstream-ng cannot: it gives every entry the current time, so that the same images would be
another archive each time, and it ends stored entries with data descriptors, which sequential readers such as Java's
ZipInputStream refuse.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from stream_zip import NO_COMPRESSION_32, stream_zip

PIECE_BYTES = 256 * 1024  # sending a piece costs the event loop as much as writing several files
_DATE = datetime(1980, 1, 1)  # the earliest that the format can express
_MODE = 0o100644  # a regular file that everyone may read


def zip_pieces(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The bytes of a zip archive of (name, content) pairs, in pieces of about `PIECE_BYTES`.

    Entries are stored, not compressed: a PNG hardly shrinks. The same files give the same bytes.
    """
    piece = bytearray()
    for part in stream_zip((name, _DATE, _MODE, NO_COMPRESSION_32, (content,)) for name, content in files):
        piece += part
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
