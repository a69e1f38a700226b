"""Puts the photographs of an upload behind those of a dataset: a new dataset, which continues its parent."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flawsmith.core.domain.records import Added, Ancestor, Dataset, NearDuplicate, RejectedFile
from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.dataset_folder import CLEAN, DatasetFolder, StoredPhotograph
from flawsmith.core.store.datasets.fingerprints import FILE, MOST_COMPARED, Fingerprints, near_duplicates
from flawsmith.core.store.datasets.ingestion import Photograph, Upload
from flawsmith.core.store.datasets.rejected_files import listed, shortened

MOST_NEAR_DUPLICATES = 1000  # that an answer lists
_MOST_NAMED = 10  # types in a sentence


class NothingNew(Exception):
    """All photographs of the upload are in the dataset already; ``rejected`` says where."""

    def __init__(self, parent: Dataset, rejected: list[RejectedFile]) -> None:
        super().__init__(
            f"'{parent.name}' has every photograph of this upload already; send photographs that it does not have"
        )
        self.rejected = rejected


@dataclass(frozen=True)
class Addition:
    """What becomes of a parent and an upload.

    Attributes:
        parent: the dataset that is continued.
        folder: of the parent.
        kept: its photographs, then its clean ones, as if they had been uploaded.
        upload: what is new, copies left out.
        fingerprints: by part ("photographs", "clean"), of the parent's photographs and then of the new ones.
        added: for the record.
    """

    parent: Dataset
    folder: DatasetFolder
    kept: tuple[list[Photograph], list[Photograph]]
    upload: Upload
    fingerprints: dict[str, Fingerprints]
    added: Added

    @property
    def lineage(self) -> list[Ancestor]:
        """Of the new dataset, the oldest first."""
        photographs, clean = map(len, self.kept)
        parent = self.parent
        own = Ancestor(id=parent.id, name=parent.name, digest=parent.digest, photographs=photographs, clean=clean)
        return [*parent.lineage, own]


def extend(
    parent: Dataset, folder: DatasetFolder, upload: Upload, new: Path, abandoned: Callable[[], bool]
) -> Addition:
    """Tells what of an upload is new.

    Args:
        parent: what the upload is added to.
        folder: of the parent.
        upload: as it was ingested.
        new: the folder of its decoded pictures.
        abandoned: whether nobody waits any more.

    Raises:
        NothingNew: every photograph is in the parent.
        Abandoned: nobody waits any more.
        FileNotFoundError: the parent was deleted meanwhile.
    """
    stored = {"photographs": folder.photographs(), "clean": folder.clean()}
    known = {part: _fingerprints(folder, part, each, abandoned) for part, each in stored.items()}
    kept = [_kept(each, known[part], parent) for part, each in stored.items()]
    fresh, copies = _without_copies(upload, kept, parent)
    if not fresh.photographs and not fresh.clean:
        raise NothingNew(parent, listed(fresh.rejected))
    uploads = {"photographs": fresh.photographs, "clean": fresh.clean}
    prints = {
        part: Fingerprints.of([new / photograph.staged_as for photograph in each], abandoned)
        for part, each in uploads.items()
    }
    alike = [
        pair
        for part, each in uploads.items()
        for pair in _alike(stored[part], known[part], each, prints[part], abandoned)
    ]
    added = Added(
        photographs=len(fresh.photographs),
        clean=len(fresh.clean),
        copies=copies,
        near_duplicate_count=len(alike),
        near_duplicates=alike[:MOST_NEAR_DUPLICATES],
    )
    fingerprints = {part: known[part].joined(prints[part]) for part in known}
    notes = [*fresh.notes, *_notes(parent, fresh, added)]
    return Addition(parent, folder, (kept[0], kept[1]), replace(fresh, notes=notes), fingerprints, added)


def save_fingerprints(addition: Addition, folder: Path) -> None:
    """Into the folder of the new dataset, so that the next addition need not read its pictures."""
    for part, each in addition.fingerprints.items():
        each.save(folder / FILE.format(part))


def _fingerprints(
    folder: DatasetFolder, part: str, photographs: Sequence[StoredPhotograph], abandoned: Callable[[], bool]
) -> Fingerprints:
    found = Fingerprints.load(folder.path / FILE.format(part))
    return found or Fingerprints.of([each.path for each in photographs], abandoned)


def _kept(stored: Sequence[StoredPhotograph], prints: Fingerprints, parent: Dataset) -> list[Photograph]:
    """Stored photographs as photographs of an upload; their masks and boxes stay where they are."""
    return [
        Photograph(
            defect_type="" if each.annotations.clean else each.defect_type,
            digest=each.digest,
            staged_as="",
            file=each.file,
            mode=parent.mode,
            size=each.annotations.size,
            pixel_digest=digest,
            split=each.annotations.split,
            defects=each.annotations.defects,
            synthetic=each.synthetic,
        )
        for each, digest in zip(stored, prints.digests, strict=True)
    ]


def _without_copies(upload: Upload, kept: Sequence[Sequence[Photograph]], parent: Dataset) -> tuple[Upload, int]:
    """The upload without photographs that are there already or come twice, and how many these are."""
    originals = {
        digest: (each, f"of dataset '{parent.name}', which keeps its annotations")
        for part in kept
        for each in part
        for digest in (each.pixel_digest, each.digest)
        if digest
    }
    rejected: list[RejectedFile] = []
    fresh: dict[bool, list[Photograph]] = {True: [], False: []}
    for each in [*upload.photographs, *upload.clean]:
        own = [digest for digest in (each.pixel_digest, each.digest) if digest]
        found = next((originals[digest] for digest in own if digest in originals), None)
        if found is None:
            originals |= dict.fromkeys(own, (each, "of this upload"))
            fresh[bool(each.defect_type)].append(each)
            continue
        original, where = found
        reason = f"a copy of '{shortened(printable(original.file))}' {where}"
        if original.defect_type != each.defect_type:
            reason += f"; that one is {_called(original)}, this one would be {_called(each)}"
        rejected.append(RejectedFile(file=shortened(each.file), reason=reason))
    changed = replace(upload, photographs=fresh[True], clean=fresh[False], rejected=[*rejected, *upload.rejected])
    return changed, len(rejected)


def _called(photograph: Photograph) -> str:
    return f"of type '{photograph.defect_type}'" if photograph.defect_type else "clean"


def _alike(
    stored: Sequence[StoredPhotograph],
    known: Fingerprints,
    new: Sequence[Photograph],
    prints: Fingerprints,
    abandoned: Callable[[], bool],
) -> list[NearDuplicate]:
    """The new photographs that nearly are stored ones of their type."""
    theirs, ours = defaultdict(list), defaultdict(list)
    for position, each in enumerate(stored):
        theirs[each.defect_type].append(position)
    for position, photograph in enumerate(new):
        ours[photograph.defect_type or CLEAN].append(position)
    found: dict[int, int] = {}
    for name, positions in ours.items():
        pairs = near_duplicates(
            known.thumbnails[np.array(theirs[name], np.int64)], prints.thumbnails[np.array(positions)], abandoned
        )
        found |= {positions[each]: theirs[name][other] for each, other in pairs.items()}
    return [
        NearDuplicate(file=shortened(new[each].file), of=shortened(stored[other].file))
        for each, other in sorted(found.items())
    ]


def _notes(parent: Dataset, upload: Upload, added: Added) -> list[str]:
    notes = []
    if added.near_duplicate_count:
        notes.append(
            f"{added.near_duplicate_count} of the new photographs are near-duplicates of photographs of "
            f"'{parent.name}': 'added' lists them; training holds them out together or not at all"
        )
    counts = Counter(each.defect_type for each in upload.photographs)
    counts = Counter({each: count + parent.classes.get(each, 0) for each, count in counts.items()})
    if large := [each for each, count in counts.items() if count > MOST_COMPARED]:
        named = ", ".join(map(repr, map(printable, large[:_MOST_NAMED])))
        notes.append(f"near-duplicates were not looked for among more than {MOST_COMPARED:,} photographs of {named}")
    if others := sorted({each.defect_type for each in upload.photographs} - parent.classes.keys()):
        named = ", ".join(map(repr, map(printable, others[:_MOST_NAMED])))
        notes.append(
            f"'{parent.name}' has no photographs of {named}: a job that continues one of its versions ('init_from') "
            "needs the same types"
        )
    coloured = sum(each.mode != parent.mode for each in (*upload.photographs, *upload.clean))
    if coloured and parent.mode == "L":
        notes.append(
            f"{coloured} of the new photographs are in colour and those of '{parent.name}' are gray, so that models "
            "of this dataset make images in colour: a job cannot continue one of a gray version ('init_from')"
        )
    return notes
