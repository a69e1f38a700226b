"""Conditional and partial answers (RFC 9110, sections 13 and 14): ETag, If-None-Match, Range."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import formatdate
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from werkzeug.http import parse_date, parse_etags, parse_range_header

from flawsmith.app.problems import Problem, Responses
from flawsmith.core.store.interface import Place, read_range

_PIECE_BYTES = 4 * 2**20  # of an answer from a bucket

NOT_MODIFIED: Responses = {304: {"description": "Your copy is current"}}
PARTIAL: Responses = {206: {"description": "The ranges of bytes that the header Range asks for"}}


def etag_of(*parts: str | bytes) -> str:
    """A strong ETag of what these parts determine."""
    digest = hashlib.sha256(b"\n".join(part if isinstance(part, bytes) else part.encode() for part in parts))
    return f'"{digest.hexdigest()}"'


def is_current(request: Request, etag: str, changed: datetime | None = None) -> bool:
    """Whether the caller has a current copy. Several If-None-Match lines are one list; they win over a date.

    Args:
        changed: when the content changed last, for If-Modified-Since.
    """
    if given := request.headers.getlist("if-none-match"):
        return parse_etags(", ".join(given)).contains_weak(etag.strip('"'))
    since = _date(request.headers.get("if-modified-since"))
    return changed is not None and since is not None and changed.replace(microsecond=0) <= since


def _date(text: str | None) -> datetime | None:
    """The date of a header; None for what is none."""
    try:
        return parse_date(text)
    except OverflowError:  # a time zone of many digits, which werkzeug lets pass
        return None


def not_modified(etag: str, headers: Mapping[str, str] | None = None) -> Response:
    """The 304 for `is_current`."""
    return Response(status_code=304, headers={"ETag": etag, **(headers or {})})


def content_response(
    request: Request, content: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer whose ETag is the digest of its content, or its 304."""
    etag = etag_of(content)
    if is_current(request, etag):
        return not_modified(etag, headers)
    return Response(content, media_type=media_type, headers={"ETag": etag, **(headers or {})})


def ranged_file(place: Place, *, etag: str, media_type: str, filename: str) -> Response:
    """A file of the artifact store, or the ranges of it that the caller asks for. Raises FileNotFoundError."""
    if isinstance(place, Path):
        return RangedFile(place, etag=etag, media_type=media_type, filename=filename)
    return _RangedObject(place, etag=etag, media_type=media_type, filename=filename)


class RangedFile(FileResponse):
    """A local file, or the ranges of it that the caller asks for.

    Starlette answers an unknown unit or a malformed Range with 400, where it must be ignored, and a 416 in plain text.
    So this class decides both, and hands on only ranges that the file has.
    """

    def __init__(self, path: Path, *, etag: str, media_type: str, filename: str) -> None:
        status = path.stat()
        super().__init__(path, media_type=media_type, filename=filename, headers={"ETag": etag}, stat_result=status)
        self._size = status.st_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Problem 416 if the file has none of the bytes that the header Range asks for."""
        headers = [each for each in scope["headers"] if each[0] != b"range"]
        if ranges := _asked(Headers(scope=scope), self.headers, self._size):
            headers.append((b"range", b"bytes=" + ",".join(f"{a}-{b - 1}" for a, b in ranges).encode()))
        await super().__call__({**scope, "headers": headers}, receive, send)


class _RangedObject(Response):
    """A file in a bucket, passed on piece by piece, or the range of it that the caller asks for.

    A caller that asks for several ranges gets the whole file, as RFC 9110 allows (section 14.2).
    """

    def __init__(self, place: Place, *, etag: str, media_type: str, filename: str) -> None:
        status = place.stat()
        self._place, self._size = place, status.st_size
        headers = {
            "ETag": etag,
            "Last-Modified": formatdate(status.st_mtime, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'attachment; filename="{filename}"',
        }
        super().__init__(media_type=media_type, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Problem 416 if the file has none of the bytes that the header Range asks for."""
        ranges = _asked(Headers(scope=scope), self.headers, self._size)
        start, stop = ranges[0] if len(ranges) == 1 else (0, self._size)
        headers = {name: value for name, value in self.headers.items() if name != "content-length"}
        headers["Content-Length"] = str(stop - start)
        if len(ranges) == 1:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{self._size}"
        answer = StreamingResponse(self._pieces(start, stop), 206 if len(ranges) == 1 else 200, headers)
        await answer(scope, receive, send)

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, _PIECE_BYTES):
            yield read_range(self._place, at, min(at + _PIECE_BYTES, stop))


def _asked(asking: Headers, own: Headers, size: int) -> list[tuple[int, int]]:
    """The ranges (start, stop) of a file to send; none: the whole file. Raises Problem 416.

    Args:
        asking: the headers of the request.
        own: those of the answer, with ETag and Last-Modified.
        size: of the file, in bytes.
    """
    if asking.get("if-range", own["etag"]) not in (own["etag"], own["last-modified"]):
        return []
    asked = parse_range_header(asking.get("range"))
    if asked is None or asked.units != "bytes":
        return []
    placed = [(max(0, size + start) if start < 0 else start, min(stop or size, size)) for start, stop in asked.ranges]
    ranges = [(start, stop) for start, stop in placed if start < stop]
    if not ranges:
        detail = f"the file has {size} bytes, so the last one is number {size - 1}"
        raise Problem(416, "range-not-satisfiable", detail, {"Content-Range": f"bytes */{size}"})
    return ranges
