"""Finds the photograph that a label file or a list means."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from flawsmith.core.store.datasets.folder_words import place_of

_DEEPEST = 16  # folders of an entry of a list that are looked at, the innermost ones
MAX_CANDIDATES = 100  # photographs of one name, among which the one of a label file is searched


class PhotographNames:
    """The paths of an upload's photographs, by their names."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = list(paths)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._by_key: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._folders = {path: tuple(map(str.lower, PurePosixPath(path).parts[:-1])) for path in self.paths}
        self._by_ending = sorted((_backwards(path), number) for number, path in enumerate(self.paths))
        for path in self.paths:
            self._by_key[place_of(path).key].append(path)
            self._by_name[PurePosixPath(path).name.lower()].append(path)
            self._by_stem[PurePosixPath(path).stem.lower()].append(path)

    def named(self, name: str, label_file: str) -> str | None:
        """The photograph of a file name that the label file gives."""
        name = name.replace("\\", "/").lower().lstrip("/")
        return _nearest(self._ending_with(name) or self._by_name.get(PurePosixPath(name).name, []), label_file)

    def _ending_with(self, name: str) -> list[str]:
        """The photographs whose paths end with these folders and this file, in their order; of very many only some.

        They are not looked through: a label file may name its photographs a million times.
        """
        ending = _backwards(name)
        at = bisect_left(self._by_ending, (ending, 0))
        some = self._by_ending[at : at + MAX_CANDIDATES + 1]
        return [self.paths[each] for each in sorted(each for path, each in some if path.startswith(ending))]

    def beside(self, label_file: str) -> str | None:
        """The photograph with the name of the label file."""
        found = self._by_key.get(place_of(label_file).key)
        return _nearest(found or self._by_stem.get(PurePosixPath(label_file).stem.lower(), []), label_file)

    def below(self, folder: str) -> list[str]:
        """The photographs in a folder, given from wherever the list of it was written: ``../train/images``."""
        parts = [
            part.lower() for part in PurePosixPath(folder.replace("\\", "/")).parts if part not in (".", "..", "/")
        ]
        parts, folders = parts[-_DEEPEST:], set(self._folders.values())
        shortest = min(len(parts), 2)  # one word such as "images" says too little of a longer path
        for at in range(len(parts) - shortest + 1):
            found = {each for each in folders if parts and _is_below(each, parts[at:])}
            if found:
                return [path for path, each in self._folders.items() if each in found]
        return []


def split_in_name(path: str) -> str | None:
    """The split of ``instances_train2017.json``."""
    return place_of(f"{PurePosixPath(path).stem.rsplit('_', 1)[-1]}/x").split


def _backwards(path: str) -> str:
    """The characters of a path in lower case from its end to a slash before it: paths that end alike begin alike."""
    return f"/{path}".lower()[::-1]


def _is_below(parts: tuple[str, ...], folder: list[str]) -> bool:
    wanted = tuple(folder)
    return any(parts[at : at + len(wanted)] == wanted for at in range(len(parts) - len(wanted) + 1))


def _nearest(paths: list[str], label_file: str) -> str | None:
    """The path with the split of the label file and most of its folders; None if there is none."""
    if len(paths) < 2 or len(paths) > MAX_CANDIDATES:
        return paths[0] if len(paths) == 1 else None
    split = place_of(label_file).split or split_in_name(label_file)
    folders = set(PurePosixPath(label_file).parts[:-1])

    def nearness(path: str) -> tuple[bool, int]:
        return place_of(path).split == split, len(folders & set(PurePosixPath(path).parts[:-1]))

    return max(paths, key=nearness)
