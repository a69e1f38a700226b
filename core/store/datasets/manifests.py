"""Reads the manifests of archives that Flawsmith made: exports, and zips of POST /generate."""

from dataclasses import dataclass, field
from typing import Any, TypeGuard

from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.boxes import Box, numbers
from flawsmith.core.store.datasets.folder_words import SPLITS
from flawsmith.core.store.datasets.label_formats import NotUnderstood
from flawsmith.core.store.datasets.photograph_names import PhotographNames


@dataclass
class Manifest:
    """What a manifest says, by the image's path in the upload."""

    types: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, list[Box]] = field(default_factory=dict)  # only of images with labels


def is_manifest(content: Any) -> TypeGuard[dict[str, Any]]:
    """Whether the content of a JSON file is a manifest; COCO has ``images`` with ``file_name`` and ``id``."""
    if not isinstance(content, dict) or content.get("synthetic") is not True:
        return False
    images = content.get("images")
    return isinstance(images, list) and all(isinstance(each, dict) and "file" in each for each in images)


def read_manifest(content: dict[str, Any], path: str, known: PhotographNames) -> Manifest:
    """What the manifest says of images of the upload; others may have been taken out since.

    Raises:
        NotUnderstood: none of its images is there, or an entry is malformed.
    """
    found = Manifest()
    try:
        for each in content["images"]:
            if image := known.named(str(each["file"]), path):
                _add(each, image, found)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NotUnderstood("an image of the manifest lacks a field that it must have, or has a wrong one") from None
    if not found.types:
        raise NotUnderstood("none of the images that this manifest names is in the upload")
    return found


def _add(entry: dict[str, Any], image: str, found: Manifest) -> None:
    found.types[image] = printable(str(entry["defect_type"]))
    if split := SPLITS.get(str(entry.get("split")).lower()):
        found.splits[image] = split
    if "defects" in entry or "boxes" in entry:  # of an export; of POST /generate
        labels = entry.get("defects") or [{"box": box} for box in entry.get("boxes", ())]
        found.boxes[image] = [_box(each, found.types[image]) for each in labels]


def _box(defect: dict[str, Any], image_type: str) -> Box:
    left, top, right, bottom = numbers(defect["box"], 4)
    return Box(left, top, right - left, bottom - top, printable(str(defect.get("defect_type", image_type))))
