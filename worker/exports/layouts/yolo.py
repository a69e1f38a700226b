"""YOLO as Ultralytics reads it: a text file of boxes or outlines beside each image, and ``data.yaml``."""

from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]

from flawsmith.core.domain.digital_source_type import term_url
from flawsmith.core.store.images import encode_png
from flawsmith.worker.exports.layouts.layout import LayoutWriter, Row, Rows, row_of
from flawsmith.worker.exports.mask_images import instance_image, mask_text
from flawsmith.worker.exports.polygons import outlines, overlap
from flawsmith.worker.exports.records import ExportRecord, LabelledDefect


class YoloWriter(LayoutWriter):
    """``images/train/scratches-17.png``, ``labels/train/scratches-17.txt`` and, where there are masks, ``masks/…``.

    An outline cannot hold a mask exactly, and has no holes: the mask's picture is the truth, and the manifest states
    how much of it the outlines keep.
    """

    def write(self, record: ExportRecord, split: str | None) -> tuple[dict[str, bytes], Row]:
        place = f"{split or self.named_splits[0]}/{self.unique_name(record)}"
        lines, overlaps = list[str](), list[float]()
        for defect in record.defects:
            index = self.classes.index(defect.defect_type)
            if defect.marked is None:
                lines.append(f"{index} {_box(defect, record.size)}")
                continue
            polygons = outlines(defect.marked)  # within its box: the photograph may be a hundred times as large
            overlaps.append(overlap(polygons, defect.marked))
            corners = ((polygon + defect.box[:2]).ravel().tolist() for polygon in polygons)
            lines += [f"{index} {_relative(each, record.size)}" for each in corners]
        labels = "".join(f"{line}\n" for line in lines)
        files = {f"images/{place}.png": record.png, f"labels/{place}.txt": labels.encode()}
        more: dict[str, Any] = {"labels": f"labels/{place}.txt"}
        if self.has_masks:
            more |= {"mask": f"masks/{place}.png", "iou_of_outlines": [round(each, 4) for each in overlaps]}
            text = mask_text(record)
            files[more["mask"]] = encode_png(instance_image(record), text, source_type=self.source_type)
        return files, row_of(record, f"images/{place}.png", split, **more)

    def summary(self, rows: Rows) -> dict[str, Any]:
        if not self.has_masks:
            return {}
        count, total, least = 0, 0.0, 1.0
        for row in rows():
            for each in row["iou_of_outlines"]:
                count, total, least = count + 1, total + each, min(least, each)
        meaning = "intersection over union of the outlines in 'labels' and the masks in 'masks', which are the truth"
        mean = round(total / count, 4) if count else None
        return {"iou_of_outlines": {"meaning": meaning, "mean": mean, "least": least if count else None}}

    def listed(self, rows: Rows) -> Iterator[tuple[str, Iterator[bytes]]]:
        known = {
            **{split: f"images/{split}" for split in self.named_splits},
            "names": dict(enumerate(self.classes)),
            "synthetic": True,
            "model": self.title,
            "digital_source_type": term_url(self.source_type),
        }
        yield "data.yaml", iter([yaml.safe_dump(known, sort_keys=False, allow_unicode=True).encode()])


def _box(defect: LabelledDefect, size: tuple[int, int]) -> str:
    left, top, right, bottom = defect.box
    return _relative([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], size)


def _relative(pixels: list[float], size: tuple[int, int]) -> str:
    """Numbers along x and y in turn as shares of the width and the height."""
    return " ".join(f"{each / size[index % 2]:.6f}" for index, each in enumerate(pixels))
