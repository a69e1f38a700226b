"""Writes a whole site into one file while its service runs.

What refers to something is read before that: a job before the version that it published, a name before its dataset.
What a file names was published before the file was written, so the backup has it too, whatever is added meanwhile. What
is deleted meanwhile is left out as a whole. Aliases come last, with the versions that they mean at that moment.
"""

import hashlib
import io
import json
import tarfile
import tempfile
from contextlib import suppress
from importlib.metadata import version as release_of
from typing import Any, BinaryIO, cast

from pydantic import Field

from flawsmith.core.domain.records import Moment, Record, now
from flawsmith.core.domain.version_bundle import BundledFile
from flawsmith.core.housekeeping import redis_state
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.services import Services
from flawsmith.core.store.interface import Place
from flawsmith.core.store.stored_files import files_below

FORMAT = 1
KIND = "flawsmith-backup"
HEAD, CONTENTS, REDIS, ARTIFACTS = "backup.json", "contents.json", "redis.jsonl", "artifacts"
RESTORING = "restoring.json"  # in the artifact store while a backup is restored into it
_MODELS, _DATASETS, _JOBS = "models", "datasets", "jobs"
_APART = (_MODELS, _DATASETS, _JOBS, "staging", "locks", RESTORING)


class Head(Record):
    """The first file of a backup."""

    kind: str = KIND
    format: int = FORMAT
    release: str
    created_at: Moment


class Contents(Record):
    """The last file of a backup: the others that count, by their names. Files of others were deleted meanwhile."""

    files: dict[str, BundledFile] = Field(default_factory=dict)


def write_backup(services: Services, target: BinaryIO) -> Contents:
    """Writes a backup of a site into a stream. Raises OSError, RedisError."""
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        return _Backup(services, archive).write()


class _Backup:
    """Writes the files of a backup, in the order that makes it consistent."""

    def __init__(self, services: Services, archive: tarfile.TarFile) -> None:
        self.services, self.store, self._archive = services, services.store, archive
        self._files: dict[str, BundledFile] = {}
        self._unfinished: dict[str, tuple[str, ...]] = {}  # jobs, as they were read, and the datasets that they read

    def write(self) -> Contents:
        head = Head(release=release_of("flawsmith"), created_at=now())
        self._add_bytes(HEAD, head.model_dump_json(indent=1).encode())
        self._add_redis()
        for name in (each for each in self._names() if each not in _APART):
            self._add_all(name)
        for job in self._names(_JOBS):
            self._add_job(job)
        models = self._names(_MODELS)
        for model in models:
            for number in self._names(_MODELS, model, "versions"):
                self._add_version(model, number)
        for dataset in self._names(_DATASETS):
            self._add_published(_DATASETS, dataset)
        for job, read in self._unfinished.items():
            self._check_datasets(job, read)
        for model in models:
            self._add_aliases(model)
        contents = Contents(files=self._files)
        self._add_bytes(CONTENTS, contents.model_dump_json().encode())
        return contents

    def _names(self, *parts: str) -> list[str]:
        try:
            return sorted(each.name for each in self.store.path(*parts).iterdir() if not each.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _add_redis(self) -> None:
        """Before the artifacts: of two states of a job, that of the artifact store is then the later one."""
        with tempfile.TemporaryFile() as file:
            for server in self.services.redis_servers.values():
                for line in redis_state.saved(server):
                    file.write(json.dumps(line).encode() + b"\n")
            self._add_stream(REDIS, cast(BinaryIO, file))

    def _add_job(self, job: str) -> None:
        """Its record first: what that says of the job's other files was written before it."""
        self._add_file(f"{_JOBS}/{job}/record.json", self.store.path(_JOBS, job, "record.json"))
        with suppress(UnknownJob):
            if not (known := self.services.jobs.get(job)).state.ended:
                self._unfinished[job] = known.datasets
        for name in (each for each in self._names(_JOBS, job) if each not in ("record.json", "claims")):
            if name in ("checkpoints", "damaged"):
                for step in self._names(_JOBS, job, name):
                    self._add_published(_JOBS, job, name, step)
            else:
                self._add_all(_JOBS, job, name)
        if not self.store.path(_JOBS, job, "record.json").exists():
            self._forget(f"{_JOBS}/{job}")

    def _check_datasets(self, job: str, datasets: tuple[str, ...]) -> None:
        """Where a dataset was deleted that an unfinished job read, the job has ended meanwhile: it is read again."""
        place = self.store.path(_JOBS, job, "record.json")
        if all(self._has(f"{_DATASETS}/{each}/record.json") for each in datasets):
            return
        try:
            produced = str(self.store.read_json(place).get("produced") or "")
        except FileNotFoundError:
            self._forget(f"{_JOBS}/{job}")
            return
        model, _, number = produced.partition("@")
        if number and not self._has(f"{_MODELS}/{model}/versions/{number}/card.json"):
            self._add_version(model, number)
        self._add_file(f"{_JOBS}/{job}/record.json", place)

    def _add_version(self, model: str, number: str) -> None:
        """Its results first: what decides what is given out must not be missing."""
        self._add_all(_MODELS, model, "results", number)
        self._add_published(_MODELS, model, "versions", number)

    def _add_aliases(self, model: str) -> None:
        while True:
            aliases = self.services.registry.aliases(model)
            for number in sorted({*aliases.values()}):
                if not self._has(f"{_MODELS}/{model}/versions/{number}/card.json"):
                    self._add_version(model, str(number))
            if all(self._has(f"{_MODELS}/{model}/versions/{each}/card.json") for each in aliases.values()):
                break  # else one was moved, and its version deleted, meanwhile
        if aliases:
            self._add_bytes(f"{ARTIFACTS}/{_MODELS}/{model}/aliases.json", json.dumps(aliases, indent=1).encode())

    def _add_published(self, *parts: str) -> None:
        """A folder that is deleted as a whole, or a file in its place."""
        self._add_all(*parts)
        if not self.store.path(*parts).exists():
            self._forget("/".join(parts))

    def _add_all(self, *parts: str) -> None:
        """A file, or all files below a folder."""
        place, name = self.store.path(*parts), "/".join(parts)
        if place.is_file():
            self._add_file(name, place)
        for below, each in files_below(place):
            self._add_file(f"{name}/{below}", each)

    def _add_file(self, name: str, path: Place) -> None:
        with suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
            self._add_stream(f"{ARTIFACTS}/{name}", file)

    def _add_bytes(self, name: str, content: bytes) -> None:
        self._add_stream(name, io.BytesIO(content))

    def _add_stream(self, name: str, file: BinaryIO) -> None:
        """A file that grows is cut where it ended just now."""
        info, read = tarfile.TarInfo(name), _Digested(file)
        info.size, info.mode = file.seek(0, io.SEEK_END), 0o600
        file.seek(0)
        self._archive.addfile(info, cast(Any, read))
        self._files[name] = BundledFile(bytes=info.size, sha256=read.digest.hexdigest())

    def _has(self, name: str) -> bool:
        return f"{ARTIFACTS}/{name}" in self._files

    def _forget(self, folder: str) -> None:
        for name in [each for each in self._files if f"{each}/".startswith(f"{ARTIFACTS}/{folder}/")]:
            del self._files[name]


class _Digested:
    """An open file that remembers the digest of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece
