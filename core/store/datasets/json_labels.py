"""Reads labels in JSON: COCO (boxes, polygons, runs) and labelme (shapes)."""

import base64
import math
from dataclasses import replace
from typing import Any

from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.boxes import Box, Outline, around, numbers
from flawsmith.core.store.datasets.label_formats import NOT_UNDERSTOOD, Found, NotUnderstood
from flawsmith.core.store.datasets.photograph_names import PhotographNames, split_in_name

CIRCLE_POINTS = 64


def read_coco(content: Any, path: str, known: PhotographNames) -> Found:
    """Raises NotUnderstood."""
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise NotUnderstood(NOT_UNDERSTOOD)
    found, photographs = Found("coco"), {}
    try:
        types = {each["id"]: printable(each["name"]) for each in content.get("categories", [])}
        for each in content["images"]:
            name = known.named(str(each["file_name"]), path)
            photographs[each["id"]] = name
            if name:
                found.boxes[name] = []
                found.add_size(name, each.get("width"), each.get("height"))
                found.splits[name] = split_in_name(path)
            else:
                found.passed_over.append(("photographs that are not in the upload", str(each["file_name"])))
        for each in content.get("annotations", []):
            photograph = photographs.get(each["image_id"])
            if photograph and ("bbox" in each or each.get("segmentation")):
                _add_coco(each, types, photograph, found)
    except (KeyError, TypeError, AttributeError):
        raise NotUnderstood("the COCO file lacks a field that it must have, or has one of another type") from None
    if not found.boxes:
        raise NotUnderstood("none of the photographs that this COCO file names is in the upload")
    return found


def _add_coco(annotation: dict[str, Any], types: dict[Any, str], photograph: str, found: Found) -> None:
    name = types.get(annotation.get("category_id"), "")
    try:
        outline = _coco_outline(annotation.get("segmentation"))
        if "bbox" in annotation:
            x, y, width, height = numbers(annotation["bbox"], 4)
        elif outline and outline.polygons:
            points = [value for each in outline.polygons for value in each]
            x, y = min(points[0::2]), min(points[1::2])
            width, height = max(points[0::2]) - x, max(points[1::2]) - y
        elif outline and outline.size:
            x, y, (width, height) = 0, 0, outline.size
        else:
            raise ValueError(annotation)
    except (ValueError, TypeError, KeyError, AttributeError):
        found.boxes[photograph].append(Box(0, 0, 0, 0, name, unreadable=True))
    else:
        found.boxes[photograph].append(Box(x, y, width, height, name, outline=outline))


def _coco_outline(segmentation: Any) -> Outline | None:
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        polygons = segmentation if isinstance(segmentation[0], list) else [segmentation]
        return Outline(polygons=tuple(tuple(numbers(each)) for each in polygons))
    height, width = (int(each) for each in numbers(segmentation["size"], 2))
    counts = segmentation["counts"]
    if isinstance(counts, list):
        counts = tuple(int(each) for each in numbers(counts))
    elif not isinstance(counts, str):
        raise TypeError(counts)
    return Outline(runs=counts, size=(width, height))


def read_labelme(content: dict[str, Any], path: str, known: PhotographNames) -> Found:
    """Shapes of points in pixels. Raises NotUnderstood."""
    photograph = known.beside(path) or known.named(str(content["imagePath"]), path)
    if photograph is None:
        raise NotUnderstood("the photograph of this labelme file is not in the upload")
    if not content["shapes"]:
        raise NotUnderstood("the labelme file has no shapes; a photograph without a defect goes into a folder 'good'")
    found = Found("labelme")
    try:
        found.boxes[photograph] = [_labelme_box(each) for each in content["shapes"]]
    except (KeyError, TypeError, AttributeError, IndexError):
        raise NotUnderstood("the labelme file lacks a field that it must have, or has one of another type") from None
    found.add_size(photograph, content.get("imageWidth"), content.get("imageHeight"))
    return found


def _from_base64(text: Any) -> bytes:
    """Raises TypeError for what is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise TypeError("no base64") from None


def _labelme_box(shape: dict[str, Any]) -> Box:
    points = [(x, y) for x, y in (numbers(point, 2) for point in shape["points"])]
    kind = shape.get("shape_type", "polygon")
    if kind == "circle":  # its middle, and a point of its edge
        (x, y), edge = points[0], points[1]
        radius = math.hypot(edge[0] - x, edge[1] - y)
        angles = [2 * math.pi * each / CIRCLE_POINTS for each in range(CIRCLE_POINTS)]
        points = [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
    if not points:
        raise IndexError
    if kind == "mask" and shape.get("mask"):
        box = around(points, printable(str(shape["label"])), filled=False)
        outline = Outline(picture=_from_base64(shape["mask"]), corner=(int(box.x), int(box.y)))
        # The second corner is the last pixel inside.
        return replace(box, width=box.width + 1, height=box.height + 1, outline=outline)
    return around(points, printable(str(shape["label"])), filled=kind in ("polygon", "circle"))
