"""The record of a new dataset: its identity, its counts, and warnings about its photographs."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from flawsmith.core.domain.image_modes import common_mode
from flawsmith.core.domain.records import Dataset, SizeRange, now
from flawsmith.core.store.datasets.ingestion import Photograph, Upload, listed

MAX_ASPECT_RATIO = 3  # of a longer photograph, the middle square shows too little


def summarise(name: str, upload: Upload) -> Dataset:
    """The record of an upload. The digest covers types and contents, neither file names nor their order."""
    photographs = upload.photographs
    content = "".join(f"{each.defect_type}\n{each.digest}\n" for each in photographs)
    digest = hashlib.sha256(content.encode()).hexdigest()
    widths, heights = zip(*(each.size for each in photographs), strict=True)
    by_type = _by_type(photographs)
    return Dataset(
        id=f"ds-{digest[:16]}",
        name=name,
        digest=digest,
        image_count=len(photographs),
        classes=dict(sorted(Counter(each.defect_type for each in photographs).items())),
        size=SizeRange(min=(min(widths), min(heights)), max=(max(widths), max(heights))),
        mode=common_mode(each.mode for each in photographs),
        distinct={
            defect_type: len({each.pixel_digest for each in members if each.pixel_digest})
            for defect_type, members in by_type.items()
        },
        warnings=[*upload.warnings, *_content_warnings(by_type), *_shape_warnings(photographs)],
        rejected=listed(upload.rejected),
        created_at=now(),
    )


def _by_type(photographs: Sequence[Photograph]) -> dict[str, list[Photograph]]:
    by_type: dict[str, list[Photograph]] = {}
    for each in photographs:
        by_type.setdefault(each.defect_type, []).append(each)
    return by_type


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


def _shape_warnings(photographs: Sequence[Photograph]) -> list[str]:
    long = [each for each in photographs if max(each.size) > MAX_ASPECT_RATIO * min(each.size)]
    if not long:
        return []
    width, height = long[0].size
    return [
        f"{len(long)} photographs are far longer than wide ('{long[0].file}' has {width}x{height} pixels): only "
        "the middle square of each is used; cut them into squares"
    ]
