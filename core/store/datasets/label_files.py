"""Reads label files: COCO and labelme JSON, Pascal VOC XML, YOLO text files, and lists of splits."""

import json
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import yaml  # type: ignore[import-untyped]

from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.boxes import Box, Size, around, numbers
from flawsmith.core.store.datasets.json_labels import read_coco, read_labelme
from flawsmith.core.store.datasets.label_formats import NOT_UNDERSTOOD, Found, NotUnderstood
from flawsmith.core.store.datasets.manifests import Manifest, is_manifest, read_manifest
from flawsmith.core.store.datasets.passed_over import PassedOver
from flawsmith.core.store.datasets.photograph_names import PhotographNames
from flawsmith.core.store.datasets.split_lists import is_split_list, read_split_list, read_yaml_splits

LABEL_KINDS = ("coco", "labelme", "voc", "yolo")
MAX_YAML_BYTES = 64 * 1024
_CLASS_LISTS = {"classes.txt", "obj.names"}
_COLOUR_LIST = "labelmap.txt"


@dataclass
class Labels:
    """What the label files of an upload say. ``boxes`` has an entry, maybe empty, for each labelled photograph.

    ``of_kind`` has the labelled photographs of each format; those of two formats at once are labelled twice.
    """

    boxes: dict[str, list[Box]] = field(default_factory=dict)  # by the photograph's path
    splits: dict[str, str] = field(default_factory=dict)  # by the photograph's path, from lists
    in_split_folders: set[str] = field(default_factory=set)  # photographs whose folder a `data.yaml` calls a split
    weak_splits: dict[str, str] = field(default_factory=dict)  # from names of label files: a folder says more
    sizes: dict[str, Size] = field(default_factory=dict)  # that label files declare, by the photograph's path
    colours: dict[str, str] = field(default_factory=dict)  # names of types, by their colours in masks: #rrggbb
    rejected: dict[str, str] = field(default_factory=dict)  # reasons, by the label file's path
    types: dict[str, str] = field(default_factory=dict)  # that a manifest declares, by the photograph's path
    of_kind: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))  # boxes, by photograph

    @property
    def kind(self) -> str | None:
        """The format of most photographs."""
        return max(self.of_kind, key=lambda each: len(self.of_kind[each]), default=None)


@dataclass
class _Names:
    """What the lists of an upload say, and the files that say it."""

    types: list[str] = field(default_factory=list)  # by their YOLO numbers
    files: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)


def read_labels(
    documents: Mapping[str, bytes], photographs: Iterable[str], passed_over: PassedOver, only: str | None = None
) -> Labels:
    """Reads all label files of an upload; those that say nothing about its photographs are rejected.

    Args:
        documents: the content of the files, by their paths.
        photographs: the paths of the pictures that may be labelled.
        passed_over: gets what of a file that is used cannot be.
        only: the one of `LABEL_KINDS` to read; None for all of them.
    """
    labels, known, manifests = Labels(), PhotographNames(photographs), dict[str, Manifest]()
    names = _class_names(documents, known, labels)
    for path, data in documents.items():
        if path in names.files | names.lists:
            continue
        try:
            if is_split_list(path, data, known):
                read_split_list(path, data, known, labels.splits)
                continue
            content = json.loads(data) if PurePosixPath(path).suffix.lower() == ".json" else None
            if is_manifest(content):
                manifests[path] = read_manifest(content, path, known)
                continue
            found = _read(path, data, content, names.types, known)
        except NotUnderstood as error:
            labels.rejected[path] = str(error)
        except (ValueError, TypeError, RecursionError, ArithmeticError, ElementTree.ParseError):
            labels.rejected[path] = f"the file is malformed; {NOT_UNDERSTOOD}"
        else:
            if only and found.kind != only:
                labels.rejected[path] = f"labels of the layout '{found.kind}', where '{only}' was asked for"
                continue
            _add(found, path, labels, passed_over)
    for path, manifest in manifests.items():
        _add_manifest(manifest, path, labels)
    if "yolo" not in labels.of_kind:
        labels.rejected |= dict.fromkeys(names.files, NOT_UNDERSTOOD)
    return labels


def _add(found: Found, path: str, labels: Labels, passed_over: PassedOver) -> None:
    for what, photograph in found.passed_over:
        passed_over.add(path, what, photograph)
    for photograph, boxes in found.boxes.items():
        kept = labels.boxes.setdefault(photograph, [])
        known = set(kept)
        kept += [replace(each, source=path) for each in boxes if each not in known]  # files often repeat one another
        of_kind = labels.of_kind[found.kind]
        of_kind[photograph] = of_kind.get(photograph, 0) + len(boxes)
    labels.sizes |= found.sizes
    for photograph, split in found.splits.items():
        if split and labels.weak_splits.get(photograph, "train") == "train":  # of two splits: not trained on
            labels.weak_splits[photograph] = split


def _add_manifest(manifest: Manifest, path: str, labels: Labels) -> None:
    """Adds what label files do not say: somebody may have changed them since."""
    labels.types |= manifest.types
    for photograph, split in manifest.splits.items():
        labels.weak_splits.setdefault(photograph, split)
    for photograph, boxes in manifest.boxes.items():
        if photograph not in labels.boxes:
            labels.boxes[photograph] = [replace(each, source=path) for each in boxes]


def _read(path: str, data: bytes, content: Any, types: list[str], known: PhotographNames) -> Found:
    """What a file says; ``content`` is that of a JSON file. Raises NotUnderstood."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".json":
        if isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys():
            return read_labelme(content, path, known)
        return read_coco(content, path, known)
    if suffix == ".xml":
        return _voc(data, path, known)
    if suffix == ".txt":
        return _yolo(data, types, path, known)
    raise NotUnderstood(NOT_UNDERSTOOD)


class _PlainTree(ElementTree.TreeBuilder):
    """Builds no tree of XML that may declare entities, in whatever encoding it does."""

    def doctype(self, name: str, public_id: str | None, system: str | None) -> None:
        """Raises NotUnderstood."""
        raise NotUnderstood("XML with a document type is not read")


def _voc(data: bytes, path: str, known: PhotographNames) -> Found:
    root = ElementTree.fromstring(data, ElementTree.XMLParser(target=_PlainTree()))
    if root.tag != "annotation":
        raise NotUnderstood(NOT_UNDERSTOOD)
    photograph = known.beside(path) or known.named(root.findtext("filename") or "", path)
    if photograph is None:
        raise NotUnderstood("the photograph of this VOC file is not in the upload")
    found = Found("voc", {photograph: []})
    found.add_size(photograph, root.findtext("size/width"), root.findtext("size/height"))
    # By the devkit, pixels count from 1 and the last ones are inside; most programs write edges that count from 0.
    first = int((root.findtext("source/database") or "").startswith("Flawsmith "))
    for each in root.iter("object"):
        sides = [each.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        left, top, right, bottom = (value - first * (index < 2) for index, value in enumerate(numbers(sides, 4)))
        name = printable((each.findtext("name") or "").strip())
        found.boxes[photograph].append(Box(left, top, right - left, bottom - top, name))
    return found


def _yolo(data: bytes, types: list[str], path: str, known: PhotographNames) -> Found:
    """Lines of a class number and a box, or a polygon, in shares of the photograph's sides."""
    photograph = known.beside(path)
    if photograph is None:
        raise NotUnderstood(NOT_UNDERSTOOD)
    boxes = []
    for line in data.decode().splitlines():
        if not line.strip():
            continue
        index, *rest = line.split()
        values = numbers(rest)
        if not index.isdecimal() or len(values) < 4:
            raise NotUnderstood(NOT_UNDERSTOOD)
        name = types[int(index)] if int(index) < len(types) else f"class {int(index)}"
        boxes.append(_yolo_box(values, name))
    return Found("yolo", {photograph: boxes})


def _yolo_box(values: list[float], name: str) -> Box:
    if len(values) <= 5:  # the fifth is a confidence
        x, y, width, height = values[:4]
        return Box(x - width / 2, y - height / 2, width, height, name, relative=True)
    return around(list(zip(values[0::2], values[1::2], strict=False)), name, relative=True)


def _class_names(documents: Mapping[str, bytes], known: PhotographNames, labels: Labels) -> _Names:
    """The types' names by their YOLO numbers and by their colours, and the splits that a ``data.yaml`` names."""
    names = _Names()
    for path, data in documents.items():
        name = PurePosixPath(path).name.lower()
        try:
            if name.endswith((".yaml", ".yml")) and len(data) <= MAX_YAML_BYTES and not names.types:
                content = yaml.load(data, Loader=yaml.BaseLoader)  # every scalar is text, and merges do not multiply
                names.types = _listed(content)
                if names.types:
                    names.files.add(path)
                    found = read_yaml_splits(content, documents, known)
                    labels.splits |= found.splits
                    labels.in_split_folders |= found.in_folders
                    names.lists |= found.lists
            elif name in _CLASS_LISTS and not names.types:
                names.types = [printable(line.strip()) for line in data.decode().splitlines() if line.strip()]
                names.files.add(path)
            elif name == _COLOUR_LIST:
                labels.colours |= _colours(data.decode())
                names.lists.add(path)
        except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError):
            continue
    return names


def _listed(content: Any) -> list[str]:
    listed = content.get("names") if isinstance(content, dict) else None
    if isinstance(listed, dict):
        listed = [listed[index] for index in sorted(listed, key=int)]
    return [printable(each) for each in listed] if isinstance(listed, list) else []


def _colours(text: str) -> dict[str, str]:
    """Lines such as ``scratch:128,0,0::``, as CVAT writes them. Raises ValueError."""
    found = {}
    for line in text.splitlines():
        if match := re.match(r"^([^#:]+):(\d{1,3}),(\d{1,3}),(\d{1,3})(?::|$)", line.strip()):
            red, green, blue = (int(each) for each in match.groups()[1:])
            found[f"#{red:02x}{green:02x}{blue:02x}"] = printable(match[1].strip())
    return found
