"""What the files of an imported version must be, beyond having the digests that its manifest lists.

The API and the workers read these files later, and must not meet a surprise in them.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from flawsmith.core.domain.addresses import SEEDS
from flawsmith.core.domain.evaluation_result import EvaluationResult
from flawsmith.core.domain.image_modes import CHANNELS, mode_of
from flawsmith.core.domain.presets.registry import PRESETS, UnknownPreset
from flawsmith.core.domain.production_gate import Override
from flawsmith.core.domain.quality_floor import QualityFloor
from flawsmith.core.domain.quality_report import QualityReport
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.remarks import CheckedRemarks
from flawsmith.core.domain.version_bundle import (
    CARD,
    HIGHEST_VERSION,
    MANIFEST,
    MOST_TEXT_BYTES,
    CannotImport,
    Manifest,
)
from flawsmith.core.store.archives import printable
from flawsmith.core.store.archives.members import expansion_limit
from flawsmith.core.store.quality_floors import FILE as IMAGE_SCORES
from flawsmith.core.store.quality_floors import ImageScores
from flawsmith.core.store.reference_photographs import FILE as REFERENCES
from flawsmith.core.store.reference_photographs import ReferencePhotographs

LONGEST_TYPE = 64  # characters
_LONGEST_HEADER = 16 * 1024 * 1024
_GENERATOR, _DEFECTS, _LABELS = "generator.safetensors", "defects.safetensors", "labels.safetensors"
_METADATA = "flawsmith"
_MOST_SIDE = 2**40  # of a tensor
_MOST_SIDES = 16
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class _WithdrawnAddress(BaseModel):
    """An entry of ``withdrawn.json``."""

    model_config = ConfigDict(extra="ignore", strict=True)

    defect_type: str
    seed: int = Field(ge=0, lt=SEEDS)
    reason: str


class _Tensor(BaseModel):
    """An entry in the header of a safetensors file. Its bounds keep what is computed of it small."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dtype: Literal["F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"]
    shape: list[Annotated[int, Field(ge=0, le=_MOST_SIDE)]] = Field(max_length=_MOST_SIDES)
    data_offsets: list[Annotated[int, Field(ge=0)]] = Field(min_length=2, max_length=2)


WITHDRAWN: TypeAdapter[list[_WithdrawnAddress]] = TypeAdapter(list[_WithdrawnAddress])
_OBJECT = TypeAdapter(dict[str, Any])
_METADATA_ENTRY = TypeAdapter(dict[str, str])
_RESULTS: Mapping[str, type[BaseModel]] = {"evaluations": EvaluationResult, "overrides": Override}


def read_card(path: Path, manifest: Manifest) -> ModelVersion:
    """The card of the version that the manifest names. Raises CannotImport."""
    card: ModelVersion = _read(path, CARD, TypeAdapter(ModelVersion))
    if card.ref != manifest.version or not 1 <= card.version <= HIGHEST_VERSION:
        raise CannotImport(f"{CARD} is that of {card.ref}, and {MANIFEST} says {printable(manifest.version)[:100]}")
    if not card.classes or len(set(card.classes)) < len(card.classes):
        raise CannotImport(f"{CARD} must name each defect type once, and at least one")
    for each in card.classes:
        if each != printable(each) or not 0 < len(each) <= LONGEST_TYPE:
            raise CannotImport(f"{CARD}: a defect type has 1 to {LONGEST_TYPE} printable characters")
    if card.labels and card.has_networks and (not card.labelling or {*card.labelling.ranges} != {*card.classes}):
        raise CannotImport(
            f"{CARD}: a version with labels must say how it came by them, and of each type what is plausible"
        )
    if card.parent is not None and not _is_earlier(card.parent, card):
        raise CannotImport(f"{CARD}: the parent of {card.ref} is an earlier version of '{card.model}'")
    _check_preset(card)
    return card


def check_files(card: ModelVersion, folder: Path) -> None:
    """Checks the unpacked files of a version. Raises CannotImport."""
    images = _GENERATOR if card.has_networks else _DEFECTS
    if not (folder / "version" / images).exists():
        raise CannotImport(f"the bundle lacks version/{images}, which makes the images of {card.ref}")
    learned = card.labels and card.labelling and card.labelling.source != "training"
    if learned and not (folder / "version" / _LABELS).exists():
        raise CannotImport(f"the bundle lacks version/{_LABELS}, which labels the images of {card.ref}")
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".safetensors":
            header = _header(path, name)
            if path.name == images:
                _check_images(path, name, header, card)
        elif path.suffix == ".npz":
            _check_arrays(path, name, card)
        elif path.is_file() and path.stat().st_size > MOST_TEXT_BYTES:
            raise CannotImport(f"'{name}' has more than {MOST_TEXT_BYTES} bytes")
        elif path.suffix == ".json":
            _check_json(path, name, card)


def _is_earlier(reference: str, card: ModelVersion) -> bool:
    name, _, number = reference.rpartition("@")
    known = len(number) <= len(str(HIGHEST_VERSION)) and number.isascii() and number.isdigit()
    return name == card.model and known and 1 <= int(number) < card.version


def _check_preset(card: ModelVersion) -> None:
    try:
        preset = PRESETS[card.preset]
    except UnknownPreset as error:
        raise CannotImport(f"{card.ref} is of a preset that this service does not have: {error}") from None
    if card.resolution not in preset.resolutions or preset.has_networks != card.has_networks:
        sides = ", ".join(map(str, preset.resolutions))
        raise CannotImport(
            f"{CARD} is none of preset '{card.preset}' in this release, which makes images of {sides} px"
        )
    config = card.config
    fields = preset.fields_of(config)
    try:
        preset.overrides(**{name: fields[name] for name in preset.overrides.model_fields if name in fields})
    except ValidationError as error:
        raise CannotImport(f"{CARD}: its 'config' is none of preset '{card.preset}': {_first(error)}") from None
    try:
        same = config["resolution"] == card.resolution and mode_of(config["channels"]) == card.mode
    except (KeyError, ValueError, TypeError):
        same = False
    if not same or config.get("classes", card.classes) != card.classes:
        raise CannotImport(f"{CARD}: its 'config' is not that of its images; they must have one size, mode and types")


def _header(path: Path, name: str) -> dict[str, Any]:
    """The header of a safetensors file, whose tensors fill the file without gaps. Raises CannotImport."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            if length > min(size, _LONGEST_HEADER):
                raise ValueError("its header is longer than the file")
            header = _OBJECT.validate_json(file.read(length))
            _METADATA_ENTRY.validate_python(header.get("__metadata__", {}))
            tensors = [_Tensor.model_validate(each) for key, each in header.items() if key != "__metadata__"]
        except ValidationError as error:
            raise CannotImport(f"'{name}' is no safetensors file: {_first(error)}") from None
        except ValueError as error:
            raise CannotImport(f"'{name}' is no safetensors file: {error}") from None
    spans = sorted(each.data_offsets for each in tensors)
    if any(before[1] != after[0] for before, after in pairwise([[0, 0], *spans, [size - 8 - length, size]])):
        raise CannotImport(f"'{name}' is no safetensors file: its tensors do not fill it")
    if any(_BYTES[each.dtype] * prod(each.shape) != each.data_offsets[1] - each.data_offsets[0] for each in tensors):
        raise CannotImport(f"'{name}' is no safetensors file: a tensor has another size than its shape says")
    return header


def _check_images(path: Path, name: str, header: dict[str, Any], card: ModelVersion) -> None:
    """Checks the file that makes the version's images against its card. Raises CannotImport."""
    digest = weights_digest(path, header) if card.has_networks else _digest(path)
    if digest != card.weights_sha256:
        raise CannotImport(f"'{name}' is not that of {card.ref}: the card has another weights_sha256")
    if not card.has_networks:
        return
    try:
        said = _OBJECT.validate_json(header.get("__metadata__", {}).get(_METADATA, "{}"))
    except (ValueError, AttributeError, TypeError):
        raise CannotImport(f"'{name}': its metadata is not JSON") from None
    shown = card.model_dump(mode="json")
    for key in said.keys() & {"preset", "classes", "resolution", "mode", "config"}:
        if said[key] != shown[key]:
            raise CannotImport(f"'{name}' and {CARD} say different things of '{key}'")


def weights_digest(path: Path, header: Mapping[str, Any]) -> str:
    """SHA-256 of the file as it would be without metadata: ``weights_sha256`` of a version with networks."""
    plain = {key: each for key, each in header.items() if key != "__metadata__"}
    text = json.dumps(plain, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256(len(text).to_bytes(8, "little") + text)
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_arrays(path: Path, name: str, card: ModelVersion) -> None:
    """Loads arrays as the service does later. Raises CannotImport."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > (most := expansion_limit(path.stat().st_size)):
                raise CannotImport(f"'{name}' unpacks to more than {most} bytes, far more than such a file does")
        if path.name == REFERENCES:
            references = ReferencePhotographs.load(path).checked()
            if references.channels != CHANNELS[card.mode]:
                raise ValueError("its pictures are of another mode than the images")
            found = references.classes
        elif path.name == IMAGE_SCORES:
            found = ImageScores.load(path).checked().classes
        else:
            raise CannotImport(f"'{name}' is no file of a version of this release")
    except (ValueError, KeyError, TypeError, IndexError, OSError, EOFError, MemoryError) as error:
        raise CannotImport(f"'{name}' cannot be read: {printable(str(error))[:200]}") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise CannotImport(f"'{name}' cannot be read: {printable(str(error))[:200]}") from None
    if found != card.classes:
        raise CannotImport(f"'{name}' is of other defect types than {card.ref}")


def _check_json(path: Path, name: str, card: ModelVersion) -> None:
    if name == "results/withdrawn.json":
        if any(each.defect_type not in card.classes for each in _read(path, name, WITHDRAWN)):
            raise CannotImport(f"'{name}' has other defect types than {card.ref}")
    elif name == "results/quality-floor.json":
        _read(path, name, TypeAdapter(QualityFloor))
    elif name == "results/remarks.json":
        _read(path, name, TypeAdapter(CheckedRemarks))
    elif name == "results/report/report.json":
        _read(path, name, TypeAdapter(QualityReport))
    elif path.parent.name in _RESULTS:
        _read(path, name, TypeAdapter(_RESULTS[path.parent.name]))
    else:
        _read(path, name, _OBJECT)


def _read(path: Path, name: str, of: TypeAdapter[Any]) -> Any:
    """Raises CannotImport."""
    try:
        return of.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise CannotImport(f"the bundle lacks '{name}'") from None
    except ValidationError as error:
        raise CannotImport(f"'{name}' is not what this release reads: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first of the errors, in words."""
    found = error.errors(include_url=False, include_input=False)[0]
    return f"{printable('/'.join(map(str, found['loc']))[:100])}: {printable(found['msg'])[:200]}"
