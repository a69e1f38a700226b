"""Requests to a bucket. Each is tried again, with growing pauses, until it succeeds or patience is over."""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from flawsmith.core.store.interface import StoreAway

if TYPE_CHECKING:
    from obstore.store import ClientConfig

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0  # seconds between two tries; each is shortened by chance, by half at most
PART_BYTES = 8 * 2**20  # of an upload or download in parts
PROBE_SECONDS = 2
SILENCE_SECONDS = 5  # without a byte of the answer: a connection whose link was cut looks like a slow server
REQUEST_SECONDS = 30  # in all
PROBE = ".probe"
_DELETED_AT_ONCE = 1000

T = TypeVar("T")


class Conflict(Exception):
    """A conditional write found another version than it was to replace."""


@dataclass(frozen=True)
class Found:
    """The content of an object, and what names this version of it. ``data`` is None where the caller has it."""

    data: bytes | None
    etag: str


@dataclass(frozen=True)
class Listed:
    """An object in a listing; ``changed_at`` is a Unix time."""

    key: str
    size: int
    etag: str
    changed_at: float


class Bucket:
    """The objects below a prefix.

    Endpoint, region and credentials come from the environment, as other programs for S3 take them (``AWS_…``).

    Args:
        name: of the bucket.
        prefix: of all keys; it may be empty.
        patience: seconds that a request is tried for; at least one try is made.
    """

    def __init__(self, name: str, prefix: str, patience: float) -> None:
        self.name, self.prefix, self.patience = name, prefix, patience
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        plain = bool(endpoint and endpoint.startswith("http://"))

        def connected(seconds: int, silence: int | None = None) -> S3Store:
            client: ClientConfig = {"allow_http": plain, "connect_timeout": "2s", "timeout": f"{seconds}s"}
            if silence is not None:
                client["read_timeout"] = f"{silence}s"
            return S3Store(
                name,
                prefix=prefix or None,
                endpoint=endpoint,
                client_options=client,
                retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},  # `_tried` does it
            )

        # `_patient` sends much or asks for much work: silence counts from the first byte sent, not from the last.
        self._store, self._patient = connected(REQUEST_SECONDS, SILENCE_SECONDS), connected(REQUEST_SECONDS)
        self._hasty = connected(PROBE_SECONDS)

    def __str__(self) -> str:
        return f"s3://{self.name}/{self.prefix}"

    def get(self, key: str, known: str | None = None) -> Found | None:
        """The object; None where there is none.

        Args:
            key: of the object.
            known: the ETag of the version that the caller has; its data is not sent again.
        """

        def read() -> Found:
            answer = obstore.get(self._store, key, options={"if_none_match": known} if known else None)
            return Found(bytes(answer.bytes()), str(answer.meta["e_tag"]))

        try:
            return self._tried(read)
        except NotModifiedError:
            return Found(None, str(known))
        except FileNotFoundError:
            return None

    def glance(self, key: str) -> Found | None:
        """The object, after a single short try. Raises StoreAway."""
        try:
            answer = self._tried(lambda: obstore.get(self._hasty, key), 0)
            return Found(bytes(answer.bytes()), str(answer.meta["e_tag"]))
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise StoreAway(_in_words(error)) from None

    def read(self, key: str, start: int, stop: int) -> bytes:
        """These bytes of an object. Raises FileNotFoundError."""
        return self._tried(lambda: bytes(obstore.get_range(self._store, key, start=start, end=stop)))

    def put(self, key: str, data: bytes, replaced: str | None) -> str:
        """Writes an object in place of one version; returns the new ETag.

        The data must be unlike any other version: so a try whose answer was lost is known again.

        Args:
            key: of the object.
            data: what it is to hold.
            replaced: the ETag of the version that is replaced; None: there must be no such object.

        Raises:
            Conflict: there is another version.
        """
        mode: obstore.PutMode = "create" if replaced is None else {"e_tag": replaced}
        try:
            return str(self._tried(lambda: obstore.put(self._store, key, data, mode=mode))["e_tag"])
        except (Conflict, FileNotFoundError) as error:  # some servers say 404 where the version to replace is gone
            found = self.get(key)
            if found and found.data == data:
                return found.etag
            raise Conflict(key) from error

    def overwrite(self, key: str, data: bytes | Path) -> None:
        """Writes an object whose key only the caller knows: bytes, or a file in parts."""
        self._tried(lambda: obstore.put(self._patient, key, data, chunk_size=PART_BYTES, max_concurrency=4))

    def has(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            self._tried(lambda: obstore.head(self._store, key))
        except FileNotFoundError:
            return False
        return True

    def listing(self, folder: str) -> Iterator[Listed]:
        """All objects below a folder, at any depth."""
        pages = self._tried(lambda: [each for page in obstore.list(self._patient, prefix=folder) for each in page])
        return map(_listed, pages)

    def has_below(self, folder: str) -> bool:
        """Whether there is an object below a folder. Some servers list folders that have none any more."""
        return bool(self._tried(lambda: next(iter(obstore.list(self._store, prefix=folder, chunk_size=1)), None)))

    def children(self, folder: str) -> tuple[list[str], list[Listed]]:
        """The folders and the objects in a folder."""
        found = self._tried(lambda: obstore.list_with_delimiter(self._store, prefix=folder))
        return [str(each) for each in found["common_prefixes"]], [_listed(each) for each in found["objects"]]

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects; those that are missing are no error."""
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            some = list(keys[start : start + _DELETED_AT_ONCE])
            with suppress(FileNotFoundError):
                self._tried(lambda some=some: obstore.delete(self._patient, some))  # type: ignore[misc]

    def probe(self, data: bytes) -> None:
        """Writes an object, in a single short try. Raises StoreAway."""
        self._tried(lambda: obstore.put(self._hasty, PROBE, data), 0)

    def _tried(self, request: Callable[[], T], patience: float | None = None) -> T:
        """Raises Conflict, NotModifiedError, FileNotFoundError, StoreAway."""
        until = time.monotonic() + (self.patience if patience is None else patience)
        pause = FIRST_PAUSE
        while True:
            try:
                return request()
            except (AlreadyExistsError, PreconditionError) as error:
                raise Conflict(_in_words(error)) from None
            except NotModifiedError:
                raise
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise StoreAway(f"there is no bucket '{self.name}'; create it") from None
                raise
            except (PermissionDeniedError, UnauthenticatedError) as error:
                raise StoreAway(f"the S3 server refuses the credentials: {_in_words(error)}") from None
            except (BaseError, OSError, TimeoutError) as error:
                if time.monotonic() + pause > until:
                    raise StoreAway(f"the S3 server does not answer: {_in_words(error)}") from None
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)


def _listed(found: "obstore.ObjectMeta") -> Listed:
    return Listed(found["path"], found["size"], str(found["e_tag"]), found["last_modified"].timestamp())


def _in_words(error: BaseException) -> str:
    """The first line of an error. The others repeat it, with the whole answer of the server."""
    return str(error).partition("\n")[0][:300]
