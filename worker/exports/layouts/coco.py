"""COCO (Lin et al. 2014, arXiv:1405.0312): images, and for each split a JSON file with boxes and compressed masks."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_masks

from flawsmith.core.domain.digital_source_type import term_url
from flawsmith.core.store.images import encode_png
from flawsmith.worker.exports.layouts.layout import LayoutWriter, Row, Rows, row_of
from flawsmith.worker.exports.mask_images import instance_image, mask_text
from flawsmith.worker.exports.records import ExportRecord, LabelledDefect

_SHOWN = ("model", "defect_type", "seed", "attributes", "composition")  # of an address, in an image's entry


class CocoWriter(LayoutWriter):
    """``images/train/scratches-17.png``, ``annotations/instances_train.json`` and, where there are masks, ``masks/…``.

    The mask's picture is the truth: 1 for the first defect, 2 for the second …; the annotations have the same pixels
    as run lengths.
    """

    def write(self, record: ExportRecord, split: str | None) -> tuple[dict[str, bytes], Row]:
        place = f"{split or self.named_splits[0]}/{self.unique_name(record)}.png"
        files, more = {f"images/{place}": record.png}, dict[str, Any]()
        if self.has_masks:
            more = {"mask": f"masks/{place}"}
            text = mask_text(record)
            files[more["mask"]] = encode_png(instance_image(record), text, source_type=self.source_type)
        annotations = [_annotation(each, record.size) for each in record.defects]
        return files, row_of(record, f"images/{place}", split, _annotations=annotations, **more)

    def listed(self, rows: Rows) -> Iterator[tuple[str, Iterator[bytes]]]:
        for split in self.named_splits:
            yield f"annotations/instances_{split}.json", self._annotations(rows, split)

    def _annotations(self, rows: Rows, split: str) -> Iterator[bytes]:
        """The file of a split, in pieces."""
        ids = {each: number + 1 for number, each in enumerate(self.classes)}
        head = {
            "info": {
                "description": f"Synthetic images of {self.title}, made by Flawsmith",
                "synthetic": True,
                "digital_source_type": term_url(self.source_type),
            },
            "licenses": [],
            "categories": [{"id": ids[each], "name": each, "supercategory": "defect"} for each in self.classes],
        }
        yield json.dumps(head)[:-1].encode()

        def images() -> Iterator[Row]:
            for number, row in self._of_split(rows, split):
                width, height = row["_size"]
                address = {name: row[name] for name in _SHOWN if name in row}
                name = row["file"].rpartition("/")[2]
                yield {"id": number, "file_name": name, "width": width, "height": height, "synthetic": True, **address}

        def annotations() -> Iterator[Row]:
            count = 0
            for number, row in self._of_split(rows, split):
                for defect, known in zip(row.get("defects", []), row["_annotations"], strict=True):
                    count += 1
                    category = ids[defect["defect_type"]]
                    yield {"id": count, "image_id": number, "category_id": category, "synthetic": True, **known}

        yield from _listed("images", images)
        yield from _listed("annotations", annotations)
        yield b"}"

    def _of_split(self, rows: Rows, split: str) -> Iterator[tuple[int, Row]]:
        """The rows of a split, numbered from 1 among all."""
        for number, row in enumerate(rows(), 1):
            if row.get("split", split) == split:
                yield number, row


def _listed(name: str, entries: Callable[[], Iterator[Row]]) -> Iterator[bytes]:
    """A further member of a JSON object, which is an array."""
    yield b', "%s": [' % name.encode()
    for number, entry in enumerate(entries()):
        yield (b",\n" if number else b"\n") + json.dumps(entry).encode()
    yield b"]"


def _annotation(defect: LabelledDefect, size: tuple[int, int]) -> dict[str, Any]:
    """What an annotation says of the place of a defect."""
    left, top, right, bottom = defect.box
    box = {"bbox": [left, top, right - left, bottom - top], "iscrowd": 0}
    mask = defect.mask(size)
    if mask is None:
        return {**box, "area": (right - left) * (bottom - top), "segmentation": []}
    return {**box, "area": int(mask.sum()), "segmentation": run_lengths(mask)}


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's compressed run-length encoding of an (H, W) mask."""
    encoded = coco_masks.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(each) for each in encoded["size"]], "counts": encoded["counts"].decode("ascii")}
