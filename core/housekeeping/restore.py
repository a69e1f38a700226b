"""Fills an empty site from a backup, whether its service runs or not."""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from flawsmith.core.domain.version_bundle import BundledFile
from flawsmith.core.housekeeping import redis_state
from flawsmith.core.housekeeping.backup import ARTIFACTS, CONTENTS, FORMAT, HEAD, KIND, REDIS, RESTORING, Contents, Head
from flawsmith.core.live import keys
from flawsmith.core.services import Services
from flawsmith.core.store.artifacts import AlreadyPublished, OutsideStore

_PIECE = 1 << 20
_PUBLISHED = re.compile(
    r"(?:models/[^/]+/versions/[1-9]\d*|datasets/[^/]+|jobs/[^/]+/(?:checkpoints|damaged)/[^/]+)(?=/)"
)
"""Folders that appear as a whole."""

_ORDER = ("datasets", "dataset-names", "models", "jobs")  # what others refer to first; the rest comes before


class CannotRestore(Exception):
    """A file is no whole backup, or the site is not empty; the message says what would be right."""


def restore_backup(services: Services, source: BinaryIO) -> Head:
    """Fills a site from a backup. If it is interrupted, the same call goes on.

    Raises:
        CannotRestore: nothing was changed.
        OSError, RedisError.
    """
    _check_empty(services)
    with services.store.staged() as folder:
        head = _unpack(source, folder)
        services.store.write_json(services.store.path(RESTORING), {"backup": head.model_dump(mode="json")})
        artifacts = folder / ARTIFACTS
        for name in sorted(_files(artifacts), key=_place):
            _put(services, artifacts, name)
        _load_redis(services, folder / REDIS)
        services.store.path(RESTORING).unlink(missing_ok=True)
    return head


def _check_empty(services: Services) -> None:
    if services.store.path(RESTORING).exists():
        return
    places = [services.store.path(each) for each in ("datasets", "models", "jobs")]
    found = next((each.name for each in places if each.exists() and any(each.iterdir())), None)
    if found or sum(services.jobs.counts().values()):
        raise CannotRestore(
            f"the site is not empty (it has {found or 'jobs'}): restore into an empty FLAWSMITH_DATA_DIR, with a Redis "
            "of its own"
        )


def _unpack(source: BinaryIO, folder: Path) -> Head:
    """Unpacks all files into a folder and checks that they are those that were written. Raises CannotRestore."""
    found: dict[str, BundledFile] = {}
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for info in archive:
                if not info.isfile():
                    raise CannotRestore(f"'{info.name[:200]}' is no file, and a backup has only files")
                found[info.name] = _unpack_file(archive, info, folder)
                if len(found) == 1:
                    head = _head(folder / HEAD)
    except (tarfile.TarError, EOFError, OverflowError) as error:
        raise CannotRestore(f"this is no backup, or it was cut short: {error}") from None
    try:
        contents = Contents.model_validate_json((folder / CONTENTS).read_bytes())
    except (FileNotFoundError, ValidationError):
        raise CannotRestore("the backup was cut short: its list of contents is missing; use another one") from None
    for name, said in contents.files.items():
        if found.get(name) != said:
            raise CannotRestore(f"'{name}' was changed since the backup was made; use another backup")
    for name in found.keys() - contents.files.keys():  # deleted while the backup was made
        (folder / name).unlink()
    return head


def _unpack_file(archive: tarfile.TarFile, info: tarfile.TarInfo, folder: Path) -> BundledFile:
    parts = info.name.split("/")
    if any(each in ("", ".", "..") or "\0" in each for each in parts):
        raise CannotRestore(f"'{info.name[:200]}' leads out of the site, so this is no backup of Flawsmith")
    target, file = folder.joinpath(*parts), archive.extractfile(info)
    assert file is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("wb") as to:
        while piece := file.read(_PIECE):
            to.write(piece)
            digest.update(piece)
    return BundledFile(bytes=info.size, sha256=digest.hexdigest())


def _head(path: Path) -> Head:
    try:
        head = Head.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        head = None
    if head is None or head.kind != KIND:
        raise CannotRestore("this is no backup of Flawsmith; give a file that `flawsmith backup` wrote")
    if head.format > FORMAT:
        raise CannotRestore(f"the backup is of release {head.release}, whose format this release cannot read")
    return head


def _files(folder: Path) -> Iterator[str]:
    """What is put into the store at once: published folders, and single files, by their paths in the store."""
    published: set[str] = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and (match := _PUBLISHED.match(name)):
            if match[0] not in published:
                published.add(match[0])
                yield match[0]
        elif path.is_file():
            yield name


def _place(name: str) -> tuple[int, bool, str]:
    """Where in the order a file or folder comes: aliases and records after what they refer to."""
    top = name.partition("/")[0]
    last = name.endswith(("/aliases.json", "/record.json"))
    return (_ORDER.index(top) + 1 if top in _ORDER else 0, last, name)


def _put(services: Services, artifacts: Path, name: str) -> None:
    store, staged = services.store, artifacts / name
    try:
        place = store.path(*name.split("/"))
    except OutsideStore as error:
        raise CannotRestore(str(error)) from None
    if not staged.is_dir():
        store.put_file(staged, place)
        return
    try:
        store.publish(staged, place)
    except AlreadyPublished:  # before the restore was interrupted
        return


def _load_redis(services: Services, path: Path) -> None:
    """Jobs are filled from the artifact store; then comes what only Redis had of them."""
    services.redis.delete(keys.JOBS_RESTORED)
    services.jobs.counts()
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in map(json.loads, file):
            _load_line(services, line)


def _load_line(services: Services, line: dict[str, Any]) -> None:
    job = redis_state.job_of(line)
    if job and not services.redis.exists(keys.job(job)):
        return  # deleted while the backup was made
    if redis_state.is_record(line):
        redis_state.load_progress(services.redis, line)
    else:
        redis_state.load(services.image_redis if redis_state.is_of_images(line) else services.redis, line)
