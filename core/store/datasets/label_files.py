"""Reads label files: COCO and labelme JSON, Pascal VOC XML, YOLO text files, and the lists of splits of VOC."""

import json
import math
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml  # type: ignore[import-untyped]

from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.folder_words import SPLITS, place_of

NOT_UNDERSTOOD = (
    "no known layout explains this file; labels are read from COCO and labelme JSON, YOLO text and Pascal VOC XML"
)
MAX_YAML_BYTES = 64 * 1024
MAX_CANDIDATES = 100  # photographs of one name, among which the one of a label file is searched
_CLASS_LISTS = {"classes.txt", "obj.names"}


@dataclass(frozen=True)
class Box:
    """A rectangle around a defect, in pixels, or as shares of the photograph's sides where ``relative``."""

    x: float
    y: float
    width: float
    height: float
    defect_type: str
    relative: bool = False


@dataclass
class Labels:
    """What the label files of an upload say. ``boxes`` has an entry, maybe empty, for each labelled photograph."""

    kind: str | None = None  # coco, labelme, voc or yolo
    boxes: dict[str, list[Box]] = field(default_factory=dict)  # by the photograph's path
    splits: dict[str, str] = field(default_factory=dict)  # by the photograph's path
    rejected: dict[str, str] = field(default_factory=dict)  # reasons, by the label file's path


class _NotUnderstood(Exception):
    """The file is not of this format; the message says why."""


class _Photographs:
    """Finds the photograph that a label file means."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._by_key: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for path in paths:
            self._by_key[place_of(path).key].append(path)
            self._by_name[PurePosixPath(path).name.lower()].append(path)
            self._by_stem[PurePosixPath(path).stem.lower()].append(path)

    def named(self, name: str, label_file: str) -> str | None:
        name = name.replace("\\", "/")
        found = self._by_name.get(PurePosixPath(name).name.lower(), [])
        return _nearest([path for path in found if path.lower().endswith(name.lower())] or found, label_file)

    def beside(self, label_file: str) -> str | None:
        """The photograph with the name of the label file."""
        found = self._by_key.get(place_of(label_file).key)
        return _nearest(found or self._by_stem.get(PurePosixPath(label_file).stem.lower(), []), label_file)


def read_labels(documents: Mapping[str, bytes], photographs: Iterable[str]) -> Labels:
    """Reads all label files of an upload; those that say nothing about its photographs are rejected."""
    labels, known = Labels(), _Photographs(photographs)
    names, name_files = _class_names(documents)
    for path, data in documents.items():
        if path in name_files:
            continue
        try:
            _read(path, data, names, known, labels)
        except _NotUnderstood as error:
            labels.rejected[path] = str(error)
        except (ValueError, TypeError, RecursionError, ArithmeticError, ElementTree.ParseError):
            labels.rejected[path] = f"the file is malformed; {NOT_UNDERSTOOD}"
    if labels.kind != "yolo":
        labels.rejected |= dict.fromkeys(name_files, NOT_UNDERSTOOD)
    return labels


def in_pixels(box: Box, size: tuple[int, int]) -> Box | None:
    """The box in pixels of a photograph of this size, cut off at its edges; None if nothing is left."""
    scale_x, scale_y = size if box.relative else (1, 1)
    left, right = (min(max(0.0, x * scale_x), size[0]) for x in (box.x, box.x + box.width))
    top, bottom = (min(max(0.0, y * scale_y), size[1]) for y in (box.y, box.y + box.height))
    if right <= left or bottom <= top:
        return None
    return Box(left, top, right - left, bottom - top, box.defect_type)


def _read(path: str, data: bytes, names: list[str], known: _Photographs, labels: Labels) -> None:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".json":
        content = json.loads(data)
        if isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys():
            kind, found = "labelme", _labelme(content, path, known)
        else:
            kind, found = "coco", _coco(content, path, known)
    elif suffix == ".xml":
        kind, found = "voc", _voc(data, path, known)
    elif suffix == ".txt" and "imagesets" in path.lower() and PurePosixPath(path).stem.lower() in SPLITS:
        _split_list(path, data, known, labels)
        return
    elif suffix == ".txt":
        kind, found = "yolo", _yolo(data, names, path, known)
    else:
        raise _NotUnderstood(NOT_UNDERSTOOD)
    labels.kind = labels.kind or kind
    for photograph, boxes in found.items():
        labels.boxes.setdefault(photograph, []).extend(boxes)


def _coco(content: Any, path: str, known: _Photographs) -> dict[str, list[Box]]:
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise _NotUnderstood(NOT_UNDERSTOOD)
    try:
        types = {each["id"]: printable(each["name"]) for each in content.get("categories", [])}
        photographs = {each["id"]: known.named(str(each["file_name"]), path) for each in content["images"]}
        found: dict[str, list[Box]] = {name: [] for name in photographs.values() if name}
        for each in content.get("annotations", []):
            photograph = photographs.get(each["image_id"])
            if photograph and "bbox" in each:
                x, y, width, height = _numbers(each["bbox"], 4)
                found[photograph].append(Box(x, y, width, height, types.get(each.get("category_id"), "")))
    except (KeyError, TypeError, AttributeError):
        raise _NotUnderstood("the COCO file lacks a field that it must have, or has one of another type") from None
    if not found:
        raise _NotUnderstood("none of the photographs that this COCO file names is in the upload")
    return found


def _labelme(content: dict[str, Any], path: str, known: _Photographs) -> dict[str, list[Box]]:
    """Shapes of points in pixels; of each the rectangle around it."""
    photograph = known.beside(path) or known.named(str(content["imagePath"]), path)
    if photograph is None:
        raise _NotUnderstood("the photograph of this labelme file is not in the upload")
    if not content["shapes"]:
        raise _NotUnderstood("the labelme file has no shapes; a photograph without a defect goes into a folder 'good'")
    boxes = []
    try:
        for each in content["shapes"]:
            xs, ys = zip(*(_numbers(point, 2) for point in each["points"]), strict=True)
            left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
            if each.get("shape_type") == "circle":  # its middle, and a point of its edge
                radius = math.hypot(xs[1] - xs[0], ys[1] - ys[0])
                left, top, right, bottom = xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius
            boxes.append(Box(left, top, right - left, bottom - top, printable(str(each["label"]))))
    except (KeyError, TypeError, AttributeError, IndexError):
        raise _NotUnderstood("the labelme file lacks a field that it must have, or has one of another type") from None
    return {photograph: boxes}


def _voc(data: bytes, path: str, known: _Photographs) -> dict[str, list[Box]]:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise _NotUnderstood("XML with a document type is not read")
    root = ElementTree.fromstring(data)
    if root.tag != "annotation":
        raise _NotUnderstood(NOT_UNDERSTOOD)
    photograph = known.beside(path) or known.named(root.findtext("filename") or "", path)
    if photograph is None:
        raise _NotUnderstood("the photograph of this VOC file is not in the upload")
    boxes = []
    for each in root.iter("object"):
        sides = [each.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        left, top, right, bottom = _numbers(sides, 4)
        boxes.append(Box(left, top, right - left, bottom - top, printable((each.findtext("name") or "").strip())))
    return {photograph: boxes}


def _yolo(data: bytes, names: list[str], path: str, known: _Photographs) -> dict[str, list[Box]]:
    """Lines of a class number and a box, or a polygon, in shares of the photograph's sides."""
    photograph = known.beside(path)
    if photograph is None:
        raise _NotUnderstood(NOT_UNDERSTOOD)
    boxes = []
    for line in data.decode().splitlines():
        if not line.strip():
            continue
        index, *rest = line.split()
        values = _numbers(rest, len(rest))
        if not index.isdecimal() or len(values) < 4:
            raise _NotUnderstood(NOT_UNDERSTOOD)
        name = names[int(index)] if int(index) < len(names) else f"class {int(index)}"
        boxes.append(_yolo_box(values, name))
    return {photograph: boxes}


def _yolo_box(values: list[float], name: str) -> Box:
    if len(values) <= 5:  # the fifth is a confidence
        x, y, width, height = values[:4]
        return Box(x - width / 2, y - height / 2, width, height, name, relative=True)
    xs, ys = values[0::2], values[1::2]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys), name, relative=True)


def _split_list(path: str, data: bytes, known: _Photographs, labels: Labels) -> None:
    split = SPLITS[PurePosixPath(path).stem.lower()]
    for line in data.decode().splitlines():
        if line.strip() and (photograph := known.beside(f"{PurePosixPath(path).parent}/{line.split()[0]}.x")):
            if PurePosixPath(path).stem.lower() == "trainval":
                labels.splits.setdefault(photograph, split)
            else:
                labels.splits[photograph] = split


def _class_names(documents: Mapping[str, bytes]) -> tuple[list[str], set[str]]:
    """The types' names by their YOLO numbers, and the files that say so."""
    for path, data in documents.items():
        name = PurePosixPath(path).name.lower()
        try:
            if name.endswith((".yaml", ".yml")) and len(data) <= MAX_YAML_BYTES:
                content = yaml.load(data, Loader=yaml.BaseLoader)  # every scalar is text, and merges do not multiply
                listed = content.get("names") if isinstance(content, dict) else None
                if isinstance(listed, dict):
                    listed = [listed[index] for index in sorted(listed, key=int)]
                if isinstance(listed, list):
                    return [printable(each) for each in listed], {path}
            elif name in _CLASS_LISTS:
                return [printable(line.strip()) for line in data.decode().splitlines() if line.strip()], {path}
        except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError):
            continue
    return [], set()


def _numbers(values: Any, count: int) -> list[float]:
    """Raises ValueError or TypeError for anything but ``count`` finite numbers."""
    numbers = [float(each) for each in values]
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(values)
    return numbers


def _nearest(paths: list[str], label_file: str) -> str | None:
    """The path with the split of the label file and most of its folders; None if there is none."""
    if len(paths) < 2 or len(paths) > MAX_CANDIDATES:
        return paths[0] if len(paths) == 1 else None
    split = place_of(label_file).split or _split_in_name(label_file)
    folders = set(PurePosixPath(label_file).parts[:-1])

    def nearness(path: str) -> tuple[bool, int]:
        return place_of(path).split == split, len(folders & set(PurePosixPath(path).parts[:-1]))

    return max(paths, key=nearness)


def _split_in_name(path: str) -> str | None:
    """The split of ``instances_train2017.json``."""
    return place_of(f"{PurePosixPath(path).stem.rsplit('_', 1)[-1]}/x").split
