"""The record of a new dataset: its identity, its counts, and warnings about its photographs."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from flawsmith.core.domain.crops import WHOLE, Around, as_crop
from flawsmith.core.domain.image_modes import common_mode
from flawsmith.core.domain.records import CropEffect, Dataset, DefectSize, Layout, SizeRange, now
from flawsmith.core.domain.training_config import usual_resolution
from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.additions import Addition
from flawsmith.core.store.datasets.crops import default_crop, effect
from flawsmith.core.store.datasets.ingestion import Photograph, Upload
from flawsmith.core.store.datasets.native_crops import NativeCrops
from flawsmith.core.store.datasets.rejected_files import listed, shortened

MOST_CONFLICTS = 10  # groups of types that share photographs, of which is warned


def identified(dataset: Dataset, name: str) -> Dataset:
    """The dataset under another name, with the id that this name and its content give."""
    return dataset.model_copy(update={"name": name, "id": _id(name, dataset.digest)})


def _id(name: str, digest: str) -> str:
    return "ds-" + hashlib.sha256(f"{name} {digest}".encode()).hexdigest()[:16]


def summarise_addition(name: str, addition: Addition) -> Dataset:
    """The record of a parent's photographs and the new ones behind them.

    The digest covers the parent's and the new content, so that it tells their order too. ``layout`` counts all
    photographs; its kind and notes are of the upload.
    """
    parent, upload, (kept, kept_clean) = addition.parent, addition.upload, addition.kept
    together = replace(upload, photographs=[*kept, *upload.photographs], clean=[*kept_clean, *upload.clean])
    content = f"parent\n{parent.digest}\n{_content(upload)}"
    masks, boxes = addition.folder.counts()
    before = parent.layout.splits if parent.layout else {}
    found = summarise(name, together)
    assert found.layout
    layout = found.layout.changed(
        masks=found.layout.masks + masks,
        boxes=found.layout.boxes + boxes,
        splits=dict(sorted((Counter(before) + Counter(upload.splits)).items())),
    )
    digest = hashlib.sha256(content.encode()).hexdigest()
    fields = {"parent": parent.id, "lineage": addition.lineage, "added": addition.added}
    return identified(found.model_copy(update={"digest": digest, "layout": layout, **fields}), name)


def summarise(name: str, upload: Upload) -> Dataset:
    """The record of an upload.

    The digest covers types and contents, neither file names nor their order. The id covers the digest and the name.
    """
    photographs = upload.photographs
    digest = hashlib.sha256(_content(upload).encode()).hexdigest()
    widths, heights = zip(*(each.size for each in photographs), strict=True)
    by_type = _by_type(photographs)
    dataset = Dataset(
        id=_id(name, digest),
        name=name,
        digest=digest,
        image_count=len(photographs),
        classes=dict(sorted(Counter(each.defect_type for each in photographs).items())),
        size=SizeRange(min=(min(widths), min(heights)), max=(max(widths), max(heights))),
        square=max(min(each.size) for each in photographs),
        mode=common_mode(each.mode for each in photographs),
        distinct={
            defect_type: len({each.pixel_digest for each in members if each.pixel_digest})
            for defect_type, members in by_type.items()
        },
        defects=dict(sorted(Counter(defect.defect_type for each in photographs for defect in each.defects).items())),
        warnings=[*upload.warnings, *_synthetic(upload), *_content_warnings(by_type), *_conflicts(by_type)],
        rejected=listed(upload.rejected),
        layout=_layout(upload),
        crop=_default_crop(photographs),
        created_at=now(),
    )
    return dataset.model_copy(update={"crops": _effects(photographs, usual_resolution(dataset))})


def _default_crop(photographs: Sequence[Photograph]) -> Around:
    """Around annotations, unless a type has none: such a crop would leave it out."""
    annotated = {defect.defect_type for each in photographs for defect in each.defects}
    if annotated.issuperset(each.defect_type for each in photographs):
        return Around.ANNOTATIONS
    return default_crop(each.size for each in photographs)


def _effects(photographs: Sequence[Photograph], resolution: int) -> dict[Around, CropEffect]:
    """Of each way to crop; of squares around annotations, at this resolution."""
    known = [each.annotations for each in photographs]
    effects = {around: effect(around, [(each.size, each.boxes) for each in known]) for around in WHOLE}
    if any(each.defects for each in known):
        crops = NativeCrops(as_crop(Around.ANNOTATIONS), resolution, known)
        effects[Around.ANNOTATIONS] = crops.effect()
    return effects


def _content(upload: Upload) -> str:
    """What the digest covers. For photographs alone it is that of the earlier releases."""
    lines = [f"{each.defect_type}\n{each.digest}\n" for each in upload.photographs]
    for index, each in enumerate(upload.photographs):
        lines += [f"mask\n{index} {mask.digest}\n" for mask in each.masks]
        lines += [
            f"box\n{index} {box.x:.3f} {box.y:.3f} {box.width:.3f} {box.height:.3f} {box.defect_type}\n"
            for box in each.boxes
        ]
    lines += [f"clean\n{each.digest}\n" for each in upload.clean]
    return "".join(lines)


def _layout(upload: Upload) -> Layout:
    sizes = [math.sqrt(width * height) for each in upload.photographs for _, _, width, height in each.annotations.boxes]
    return Layout(
        kind=upload.kind,
        photographs=len(upload.photographs),
        masks=sum(len(each.masks) for each in upload.photographs),
        boxes=sum(len(each.boxes) for each in upload.photographs),
        clean=len(upload.clean),
        splits=upload.splits,
        size_of_defects=DefectSize(median=round(median(sizes), 1), min=round(min(sizes), 1)) if sizes else None,
        notes=upload.notes,
    )


def _by_type(photographs: Sequence[Photograph]) -> dict[str, list[Photograph]]:
    by_type: dict[str, list[Photograph]] = {}
    for each in photographs:
        by_type.setdefault(each.defect_type, []).append(each)
    return by_type


def _conflicts(by_type: dict[str, list[Photograph]]) -> list[str]:
    """Warns of photographs that stand in two types: what either shows is not to be learned from them."""
    of_picture: dict[str, set[str]] = {}
    for defect_type, members in by_type.items():
        for each in members:
            if each.pixel_digest:
                of_picture.setdefault(each.pixel_digest, set()).add(defect_type)
    conflicts = Counter(tuple(sorted(types)) for types in of_picture.values() if len(types) > 1)
    named = [(", ".join(map(repr, types[:10])), count) for types, count in conflicts.most_common(MOST_CONFLICTS)]
    return [f"{count} photographs stand in several types at once: {types}" for types, count in named]


def _synthetic(upload: Upload) -> list[str]:
    """Warns of images whose files say that they are none of a camera."""
    all_of_them = [*upload.photographs, *upload.clean]
    found = sorted(printable(each.file) for each in all_of_them if each.synthetic)
    if not found:
        return []
    return [
        f"{len(found)} of {len(all_of_them)} images say of themselves that they are synthetic, such as "
        f"'{shortened(found[0])}': a model that learns from them is not judged by photographs; leave them out, unless "
        "that is what you want"
    ]


def _content_warnings(by_type: dict[str, list[Photograph]]) -> list[str]:
    """Warns of types with plain photographs or with copies of one photograph."""
    warnings = []
    for defect_type, members in by_type.items():
        pictures = [each.pixel_digest for each in members if each.pixel_digest]
        if plain := len(members) - len(pictures):
            warnings.append(
                f"{plain} of {len(members)} photographs of '{defect_type}' are plain: all their pixels are alike"
            )
        if copies := len(pictures) - len(set(pictures)):
            warnings.append(f"{copies} of {len(members)} photographs of '{defect_type}' are copies of others of them")
    return warnings
