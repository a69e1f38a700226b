"""Calls that write a file: archives of jobs, weights and bundles. A broken download goes on where it broke."""

import functools
import hashlib
import re
from os import PathLike
from pathlib import Path

from flawsmith.client.commands import Answer, Flow, Request, Stream, close, open_stream, read, sleep, work
from flawsmith.client.datasets import OnBytes
from flawsmith.client.errors import BrokenDownload, FlawsmithError, NoAnswer, RangeNotSatisfiable, UnexpectedAnswer
from flawsmith.client.jobs import job_path
from flawsmith.client.models import version_path
from flawsmith.client.operations import Calls, operation, record
from flawsmith.client.records import Job, Version
from flawsmith.client.retries import Retries


class DownloadCalls(Calls):
    """Files."""

    @operation
    def download(self, job: str | Job, path: str | PathLike[str], *, on_progress: OnBytes | None = None) -> Flow[Path]:
        """Writes the archive of an export or a composition; what an earlier try got is kept, and continued.

        Args:
            path: the file, or a folder for ``ID.zip``.
            on_progress: is told the bytes that are there, and all bytes.

        Raises:
            NotFound: the job has no archive (yet); `detail` says why.
            BrokenDownload: the file is not the one that the job made.
            OSError: the file cannot be written.
        """
        found = record(Job.read, (yield from self._get(job_path(job))))
        target = _target(Path(path), f"{found.id}.zip")
        sha256 = str((found.result or {}).get("sha256") or "")
        return (yield from _fetched(self, f"{job_path(found)}/archive", target, sha256, on_progress))

    @operation
    def weights(
        self, reference: str | Version, path: str | PathLike[str], *, on_progress: OnBytes | None = None
    ) -> Flow[Path]:
        """Writes a version's generator as safetensors, for `load_generator`.

        Args:
            path: the file, or a folder for ``NAME-NUMBER.safetensors``.
        """
        place = yield from version_path(self, reference)
        _, _, name, _, number = place.split("/")
        target = _target(Path(path), f"{name}-{number}.safetensors")
        return (yield from _fetched(self, f"{place}/weights.safetensors", target, "", on_progress))

    @operation
    def bundle(
        self, reference: str | Version, path: str | PathLike[str], *, on_progress: OnBytes | None = None
    ) -> Flow[Path]:
        """Writes a version as one file, for `import_version` at another service.

        Args:
            path: the file, or a folder for ``NAME-NUMBER.bundle.zip``.
        """
        place = yield from version_path(self, reference)
        _, _, name, _, number = place.split("/")
        target = _target(Path(path), f"{name}-{number}.bundle.zip")
        return (yield from _fetched(self, f"{place}/bundle", target, "", on_progress))


def _target(path: Path, name: str) -> Path:
    return path / name if path.is_dir() else path


def _fetched(calls: Calls, url: str, target: Path, sha256: str, on_progress: OnBytes | None) -> Flow[Path]:
    """Downloads into a file beside the target, which takes its name when it is whole."""
    retries = Retries(calls.retry_policy)
    partial: _Partial | None = None
    while True:
        try:
            stream = yield from _opened(url, partial)
            retries.answered()
            first, partial = partial is None, _Partial(target, stream.answer)
            if first and partial.size:  # of an earlier process
                yield from close(stream)
                stream = yield from _opened(url, partial)
                partial = _Partial(target, stream.answer)
            begin = partial.begin(stream.answer)
            with partial.path.open("r+b" if begin else "wb") as file:
                file.seek(begin)
                while piece := (yield from read(stream)):
                    file.write(piece)
                    retries.got_on()
                    if on_progress:
                        on_progress(file.tell(), partial.total or file.tell())
            yield from close(stream)
            if partial.size < (partial.total or 0):
                raise NoAnswer(f"the connection ended after {partial.size} of {partial.total} bytes")
            return (yield from work(functools.partial(partial.finish, target, sha256)))
        except RangeNotSatisfiable:
            if partial is None or not partial.size:
                raise
            partial.path.unlink()  # it is longer than the file
            continue
        except FlawsmithError as error:
            seconds = retries.pause(error)
        yield from sleep(seconds)


def _opened(url: str, partial: "_Partial | None") -> Flow[Stream]:
    """The open answer: whole, or what is missing of it."""
    headers = {"Accept-Encoding": "identity"}
    if partial and partial.size and partial.etag:
        headers |= {"Range": f"bytes={partial.size}-", "If-Range": partial.etag}
    stream = yield from open_stream(Request(method="GET", path=url, headers=headers))
    if stream.answer.check().headers.get("content-encoding", "identity") != "identity":
        raise UnexpectedAnswer("a proxy compresses the download; it must heed 'Accept-Encoding: identity'")
    return stream


class _Partial:
    """What is there of a file: its name has the ETag, so that no other file is continued.

    Attributes:
        total: bytes of the whole file; None where the service does not say.
    """

    def __init__(self, target: Path, answer: Answer) -> None:
        self.etag = answer.headers.get("etag", "")
        mark = re.sub(r"\W", "", self.etag)[:16] or "whole"
        self.path = target.with_name(f".{target.name}.{mark}.part")
        self.total: int | None = None
        if not self.etag:
            self.path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, answer: Answer) -> int:
        """The position of the answer's first byte in the file; its length is known from then on."""
        if answer.status != 206:
            length = answer.headers.get("content-length", "")
            self.total = int(length) if length.isdecimal() else None
            return 0
        numbers = [int(each) for each in re.findall(r"\d+", answer.headers.get("content-range", ""))]
        if len(numbers) != 3 or numbers[0] > self.size or numbers[1] + 1 != numbers[2]:
            raise BrokenDownload(f"asked for the bytes from {self.size} on, and got others")
        self.total = numbers[2]
        return numbers[0]

    def finish(self, target: Path, sha256: str) -> Path:
        """Gives the whole file its name. Raises BrokenDownload."""
        wrong_size = self.total is not None and self.size != self.total
        if wrong_size or (sha256 and _digest(self.path) != sha256):
            self.path.unlink()
            raise BrokenDownload(f"{target.name} arrived damaged and was deleted; download it again")
        self.path.replace(target)
        return target


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
