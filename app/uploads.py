"""Multipart uploads (RFC 7578), streamed to disk so that no file is ever whole in memory."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from flawsmith.app.problems import Problem, invalid
from flawsmith.core.settings import Settings

MAX_FIELD_BYTES = 1024  # of a part that is not a file
STALL_SECONDS = 60.0  # without a byte from the client
_RAW = "latin-1"  # keeps every byte of a part's header, for `_decoded`


@dataclass
class Upload:
    """A received upload: text fields, and files as (field, file name, path). ``digest`` covers all of it (SHA-256)."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, str, Path]] = field(default_factory=list)
    digest: bytes = b""


async def receive(request: Request, folder: Path, settings: Settings) -> Upload:
    """Reads a multipart body into files in ``folder``.

    Raises:
        Problem: 415 not multipart, 400 malformed, 408 the client stalled, 413 too many bytes or parts.
    """
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    if content_type != "multipart/form-data" or not options.get("boundary"):
        raise Problem(
            415,
            "unsupported-media-type",
            "send multipart/form-data with 'name' and 'archive' (or several 'images')",
        )
    limit = settings.max_upload_bytes
    if int(request.headers.get("content-length", "0")) > limit:
        raise too_large(limit)
    receiver = _Receiver(folder, limit)
    try:
        parser = PushMultipartParser(
            options["boundary"], header_charset=_RAW, max_segment_count=settings.max_archive_entries
        )
        with parser:
            chunks = aiter(request.stream())
            while chunk := await asyncio.wait_for(anext(chunks, b""), STALL_SECONDS):
                await asyncio.to_thread(receiver.write, list(parser.parse(chunk)))
    except TimeoutError:
        raise Problem(408, "too-slow", f"no data arrived for {STALL_SECONDS:g} s; send the body again") from None
    except ParserLimitReached:
        raise Problem(413, "too-large", f"an upload may have at most {settings.max_archive_entries} parts") from None
    except (MultipartError, UnicodeError) as error:
        raise Problem(400, "malformed-body", f"the multipart body is malformed or cut short: {error}") from None
    finally:
        receiver.close()
    return receiver.upload()


class _Receiver:
    """Writes the parser's events to disk."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit, self.received = folder, limit, 0
        self._upload, self._digest = Upload(), hashlib.sha256()
        self._segment: MultipartSegment | None = None
        self._file: BinaryIO | None = None
        self._text = b""

    def write(self, events: list[MultipartSegment | bytes | bytearray | None]) -> None:
        """Handles parser events: a part's header, its data, None at its end. Raises Problem 413 or 422."""
        for event in events:
            if isinstance(event, MultipartSegment):
                self._begin_part(event)
            elif event is None:
                self._finish_part()
            else:
                self._write_data(event)

    def upload(self) -> Upload:
        self._upload.digest = self._digest.digest()
        return self._upload

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _begin_part(self, segment: MultipartSegment) -> None:
        self._segment, self._text = segment, b""
        segment.name = _decoded(segment.name)
        file_name = None if segment.filename is None else _decoded(segment.filename)
        self._digest.update(repr((segment.name, file_name)).encode(errors="replace"))
        if file_name is not None:
            path = self.folder / f"{len(self._upload.files):06d}"
            self._upload.files.append((segment.name, file_name, path))
            self._file = path.open("wb")

    def _write_data(self, data: bytes | bytearray) -> None:
        self.received += len(data)
        if self.received > self.limit:
            raise too_large(self.limit)
        self._digest.update(data)
        if self._file:
            self._file.write(data)
            return
        self._text += data
        if len(self._text) > MAX_FIELD_BYTES:
            name = self._segment.name if self._segment else ""
            raise invalid(f"/{name}", f"has more than {MAX_FIELD_BYTES} bytes; a file needs a file name")

    def _finish_part(self) -> None:
        if self._file:
            empty = self._file.tell() == 0
            self._file.close()
            self._file = None
            if empty and not self._upload.files[-1][1]:
                self._upload.files.pop()  # a browser sends this for a file input where no file was chosen
        elif self._segment:
            if self._segment.name in self._upload.fields:
                raise invalid(f"/{self._segment.name}", "it stands there more than once; send it once")
            self._upload.fields[self._segment.name] = self._text.decode()


def _decoded(name: str) -> str:
    """A name of a part's header in UTF-8, which browsers send, else in the encoding of Western Windows.

    A name in yet another encoding is shown wrongly, which is no reason to refuse the photograph.
    """
    raw = name.encode(_RAW)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def too_large(limit: int) -> Problem:
    """The problem of a body that is too large."""
    return Problem(
        413, "too-large", f"an upload may have at most {limit} bytes (FLAWSMITH_MAX_UPLOAD_BYTES); send less at once"
    )
