"""Writes a version's bundle: its files, and of its results those that decide what is given out and by which name."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from importlib.metadata import version as release_of
from pathlib import Path
from typing import Any, cast

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.version_bundle import MANIFEST, BundledFile, Manifest, is_bundled
from flawsmith.core.store.interface import Place
from flawsmith.core.store.quality_floors import FILE as IMAGE_SCORES
from flawsmith.core.store.quality_floors import made_later
from flawsmith.core.store.registry import Registry
from flawsmith.core.store.version_report import page_file, report_file
from flawsmith.core.store.version_results import EVALUATIONS, OVERRIDES, results_by_name

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a constant time: the same version is the same bundle
_PIECE = 1 << 20

_Entry = Place | bytes


@dataclass(frozen=True)
class Bundle:
    """A version's bundle, not written yet: its manifest, and where each of its files is."""

    manifest: Manifest
    _entries: dict[str, _Entry]

    @property
    def digest(self) -> str:
        """Determines the bundle's bytes."""
        return hashlib.sha256(self.manifest.model_dump_json().encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Raises FileNotFoundError where a file was deleted since."""
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), self.manifest.model_dump_json(indent=1))
            for name, entry in self._entries.items():
                info = zipfile.ZipInfo(name, _EPOCH)
                if isinstance(entry, bytes):
                    archive.writestr(info, entry)
                    continue
                info.file_size = self.manifest.files[name].bytes  # decides on zip64
                with entry.open("rb") as file, archive.open(info, "w") as target:
                    while piece := file.read(_PIECE):
                        target.write(piece)


def bundle_of(registry: Registry, version: ModelVersion) -> Bundle:
    """A version's bundle.

    Raises:
        UnknownModel: the version was deleted meanwhile.
        FileNotFoundError: a file of it was.
    """
    try:
        entries = _entries(registry, version)
        files = {name: _described(each) for name, each in entries.items()}
    except FileNotFoundError:
        registry.version(version.model, str(version.version))
        raise
    manifest = Manifest(release=release_of("flawsmith"), version=version.ref, files=files)
    return Bundle(manifest, entries)


def _entries(registry: Registry, version: ModelVersion) -> dict[str, _Entry]:
    folder = registry.folder(version)
    found: dict[str, _Entry] = {f"version/{each.name}": each for each in sorted(folder.iterdir())}
    found |= {f"results/report/{each.name}": each for each in (report_file(folder), page_file(folder)) if each.exists()}
    if (scores := made_later(folder)).exists():
        found[f"results/{IMAGE_SCORES}"] = scores
    # What was decided and found out about the version that this one labels holds for this one: they have the same
    # images, and the other one does not come along.
    lineage = [version, *registry.ancestors(version)]
    if withdrawn := _withdrawn(registry, version):
        found["results/withdrawn.json"] = _json(withdrawn)
    if floor := registry.quality_floor(version):
        found["results/quality-floor.json"] = floor.model_dump_json(indent=1).encode()
    if (remarks := registry.remarks.of(version.model, version.version)).noted_at:
        found["results/remarks.json"] = remarks.model_dump_json(indent=1).encode()
    for folder_of in map(registry.folder, lineage):
        for name, each in results_by_name(folder_of, EVALUATIONS).items():
            found[f"results/{EVALUATIONS}/{name}.json"] = _json(each)
    for name, each in results_by_name(folder, OVERRIDES).items():
        found[f"results/{OVERRIDES}/{name}.json"] = _json(each)
    return {name: each for name, each in found.items() if is_bundled(name)}


def _withdrawn(registry: Registry, version: ModelVersion) -> list[dict[str, Any]]:
    withdrawn = registry.withdrawn(version)
    entries = ({**address.to_json(), "reason": reason} for address, reason in withdrawn.items())
    return sorted(entries, key=lambda each: (each["defect_type"], each["seed"]))


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _described(entry: _Entry) -> BundledFile:
    if isinstance(entry, bytes):
        return BundledFile(bytes=len(entry), sha256=hashlib.sha256(entry).hexdigest())
    with entry.open("rb") as file:
        digest = hashlib.file_digest(cast(Any, file), "sha256").hexdigest()
        return BundledFile(bytes=file.seek(0, io.SEEK_END), sha256=digest)
