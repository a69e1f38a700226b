"""Pascal VOC (Everingham et al. 2010, doi:10.1007/s11263-009-0275-4): an XML file with boxes for each image."""

import io
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from PIL import Image

from flawsmith.core.domain.digital_source_type import term_url
from flawsmith.core.store.images import encode_png
from flawsmith.worker.exports.layouts.layout import LayoutWriter, Row, Rows, row_of
from flawsmith.worker.exports.mask_images import instance_image, mask_text, type_image
from flawsmith.worker.exports.records import ExportRecord, LabelledDefect


class VocWriter(LayoutWriter):
    """``JPEGImages/scratches-17.png``, ``Annotations/scratches-17.xml``, and lists of names in ``ImageSets``.

    The folder's name is VOC's; the images are PNG. Where there are masks, ``SegmentationClass`` and
    ``SegmentationObject`` have them as pictures.
    """

    def write(self, record: ExportRecord, split: str | None) -> tuple[dict[str, bytes], Row]:
        name = self.unique_name(record)
        files = {
            f"JPEGImages/{name}.png": record.png,
            f"Annotations/{name}.xml": self._annotation(record, name),
        }
        more: dict[str, Any] = {"annotation": f"Annotations/{name}.xml"}
        if self.has_masks:
            text = mask_text(record)
            for folder, picture in (
                ("SegmentationClass", type_image(record, self.classes)),
                ("SegmentationObject", instance_image(record)),
            ):
                files[f"{folder}/{name}.png"] = encode_png(picture, text, source_type=self.source_type)
            more["mask"] = f"SegmentationObject/{name}.png"
        return files, row_of(record, f"JPEGImages/{name}.png", split, _name=name, **more)

    def listed(self, rows: Rows) -> Iterator[tuple[str, Iterator[bytes]]]:
        for folder in ("Main", *(["Segmentation"] if self.has_masks else [])):
            for split in self.named_splits:
                names = (row["_name"] for row in rows() if row.get("split", split) == split)
                yield f"ImageSets/{folder}/{split}.txt", (f"{name}\n".encode() for name in names)

    def _annotation(self, record: ExportRecord, name: str) -> bytes:
        root = Element("annotation")
        _add(root, {"folder": "JPEGImages", "filename": f"{name}.png", "synthetic": "true"})
        _add(root, record.address_texts)
        source = SubElement(root, "source")
        _add(source, {"database": f"Flawsmith {self.title}", "image": term_url(self.source_type)})
        width, height = record.size
        depth = str(len(Image.open(io.BytesIO(record.png)).getbands()))
        _add(SubElement(root, "size"), {"width": str(width), "height": str(height), "depth": depth})
        _add(root, {"segmented": str(int(self.has_masks))})
        for defect in record.defects:
            _add_object(root, defect, record.size)
        ElementTree.indent(root)
        content: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
        return content + b"\n"


def _add_object(root: Element, defect: LabelledDefect, size: tuple[int, int]) -> None:
    """Adds a defect's entry. VOC counts pixels from 1, and its last ones are inside."""
    left, top, right, bottom = defect.box
    cut_off = left == 0 or top == 0 or right == size[0] or bottom == size[1]
    entry = SubElement(root, "object")
    _add(entry, {"name": defect.defect_type, "pose": "Unspecified", "truncated": str(int(cut_off)), "difficult": "0"})
    corners = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
    _add(SubElement(entry, "bndbox"), {each: str(value) for each, value in corners.items()})


def _add(parent: Element, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        SubElement(parent, name).text = text
