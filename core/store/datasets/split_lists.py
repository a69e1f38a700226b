"""Reads which photographs are of which split: lists of names, and the ``data.yaml`` of YOLO."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from flawsmith.core.store.datasets.folder_words import SPLITS
from flawsmith.core.store.datasets.photograph_names import PhotographNames

_MOST_ENTRIES = 20  # of a split in a `data.yaml`: each is looked for among all photographs
_MOST_WORDS = 2  # on a line of a list: a name, and 1 or -1 in those of VOC


def is_split_list(path: str, data: bytes, known: PhotographNames) -> bool:
    """Whether a text file such as ``train.txt`` lists photographs, all of them in the upload, or is in ImageSets."""
    stem = PurePosixPath(path).stem.lower()
    if not path.lower().endswith(".txt") or stem not in SPLITS:
        return False
    if "imagesets" in path.lower():
        return True
    lines = [line.split() for line in data.decode(errors="replace").splitlines() if line.strip()]
    return bool(lines) and all(len(line) <= _MOST_WORDS and _photograph(line[0], path, known) for line in lines)


def read_split_list(path: str, data: bytes, known: PhotographNames, splits: dict[str, str]) -> None:
    """Adds the photographs that the list names. Raises UnicodeDecodeError."""
    stem = PurePosixPath(path).stem.lower()
    for line in data.decode().splitlines():
        photograph = _photograph(line.split()[0], path, known) if line.strip() else None
        if photograph and stem == "trainval":
            splits.setdefault(photograph, SPLITS[stem])
        elif photograph:
            splits[photograph] = SPLITS[stem]


@dataclass
class YamlSplits:
    """What a ``data.yaml`` says: splits by photograph, those in folders that are splits, and the lists it names."""

    splits: dict[str, str] = field(default_factory=dict)
    in_folders: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)


def read_yaml_splits(content: Mapping[str, Any], documents: Mapping[str, bytes], known: PhotographNames) -> YamlSplits:
    """The splits by the folders and lists that a ``data.yaml`` names."""
    found, lists, read = YamlSplits(), _by_name(documents), dict[str, list[str | None]]()
    for word in ("train", "test", "val"):  # a photograph of two splits is not trained on
        given = content.get(word)
        for entry in (given if isinstance(given, list) else [given])[:_MOST_ENTRIES]:
            if not isinstance(entry, str):
                continue
            if path := _list_of(entry, lists):
                found.lists.add(path)
                if path not in read:
                    lines = documents[path].decode(errors="replace").splitlines()
                    read[path] = [_photograph(line.strip(), path, known) for line in lines if line.strip()]
                names = read[path]
            else:
                names = list(known.below(entry))
                found.in_folders |= set(filter(None, names))
            found.splits |= {name: word for name in names if name}
    return found


def _by_name(documents: Mapping[str, bytes]) -> Mapping[str, list[str]]:
    """The paths of all lists that a ``data.yaml`` may name, by the names of their files."""
    found = defaultdict(list)
    for path in documents:
        if path.endswith(".txt"):
            found[PurePosixPath(path).name].append(path)
    return found


def _list_of(entry: str, lists: Mapping[str, list[str]]) -> str | None:
    """The list that an entry of a ``data.yaml`` names from wherever it was written; None if there is none."""
    wanted = [part for part in PurePosixPath(entry.replace("\\", "/")).parts if part not in (".", "..", "/")]
    candidates = lists.get(wanted[-1], []) if wanted else []
    return next((each for each in candidates if list(PurePosixPath(each).parts[-len(wanted) :]) == wanted), None)


def _photograph(name: str, path: str, known: PhotographNames) -> str | None:
    if PurePosixPath(name).suffix:
        return known.named(name.removeprefix("./"), path)
    return known.beside(f"{PurePosixPath(path).parent}/{name}.x")
