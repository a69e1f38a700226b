"""What the folders and the name of a file say: its split, the folders that name something, and whether it is a mask."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

SPLITS = {
    "train": "train", "training": "train", "trainval": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Words for a split, and the word that Flawsmith answers with."""

GROUND_TRUTH = {"groundtruth", "gt"}  # nothing but masks stands in such a folder
_IMAGE_WORDS = {
    "image", "images", "img", "imgs", "jpegimages", "jpeg", "jpg", "png", "bmp", "photo", "photos", "photographs",
    "picture", "pictures", "pic", "pics", "data", "rgb", "original", "originals", "input", "inputs",
    "set", "dataset", "datasets",
}  # fmt: skip
_MASK_WORDS = GROUND_TRUTH | {
    "mask", "masks", "label", "labels", "annotation", "annotations", "ann", "anns", "anno", "annos", "annot", "annots",
    "seg", "segmentation", "segmentations", "segmentationclass", "segmentationobject",
    "lab", "labs", "msk", "msks", "gts", "target", "targets",
}  # fmt: skip
_CLEAN_WORDS = {
    "good", "ok", "normal", "clean", "defectfree", "nodefect", "nodefects", "nondefect", "nondefective",
    "withoutdefect", "faultless", "flawless", "pass", "passed", "healthy", "intact", "undamaged",
    "negative", "negatives",
}  # fmt: skip
_PLACES = {
    "front", "back", "top", "bottom", "left", "right", "side", "part", "parts", "sample", "samples",
}  # fmt: skip
"""Words that may stand beside one of `_CLEAN_WORDS`."""

_SEPARATORS = "_-. "
_MASK_SUFFIX = re.compile(r"(?i)[_\-. ](?:masks?|labels?|gt|ground[_-]?truth|seg|segmentation|anno)\d{0,3}$")
_MASK_PREFIX = re.compile(r"(?i)^(?:mask|label|gt)[_\-]+(.+)$")


@dataclass(frozen=True)
class Place:
    """What the path of a file says.

    ``folders`` are those that name something: an object, a texture, a defect type; not those that name a split, or
    say that images or masks are in them. ``in_named_folder``: the innermost folder names something.
    """

    split: str | None
    folders: tuple[str, ...]
    stem: str  # without what marks a mask
    in_named_folder: bool
    in_mask_folder: bool
    in_ground_truth: bool
    has_mask_name: bool

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for a photograph, its mask and its label file."""
        return (*(name.lower() for name in self.folders), self.stem.lower())


def place_of(path: str) -> Place:
    parts = PurePosixPath(path).parts
    split, folders, words = None, [], set[str]()
    in_named_folder = False
    for name in parts[:-1]:
        said = _words(name)
        in_named_folder = said is None
        if said is None:
            folders.append(name)
            continue
        words |= said
        split = split or next((SPLITS[word] for word in said if word in SPLITS), None)
    stem = PurePosixPath(parts[-1]).stem
    marked = _without_mask_word(stem)
    return Place(
        split=split,
        folders=tuple(folders),
        stem=marked or stem,
        in_named_folder=in_named_folder,
        in_mask_folder=bool(words & _MASK_WORDS),
        in_ground_truth=bool(words & GROUND_TRUTH),
        has_mask_name=marked is not None,
    )


def _without_mask_word(stem: str) -> str | None:
    """The name of the photograph in that of its mask; None where nothing says that it is one."""
    # A search that starts at the suffix takes time that grows with the length, not with its square.
    if (suffix := _MASK_SUFFIX.search(stem)) and suffix.start():
        return stem[: suffix.start()].rstrip(_SEPARATORS) or stem[0]
    prefix = _MASK_PREFIX.match(stem)
    return prefix[1] if prefix else None


def is_clean(name: str) -> bool:
    """Whether the name of a folder, such as ``good`` or ``ok_front``, says that nothing in it has a defect."""
    telling = "".join(word for word in _split(name) if word not in _IMAGE_WORDS | _PLACES)
    return {_joined(name), telling} & _CLEAN_WORDS != set() or re.search(r"(?i)[a-z][\s_.-]free$", name) is not None


def is_number(name: str) -> bool:
    """Whether the name of a folder is the number of a part, such as ``2306881-210020u``, and names nothing."""
    return re.search(r"\d", name) is not None and re.search(r"[^\W\d_]{3}", name) is None


def _words(name: str) -> set[str] | None:
    """The words for splits, images and masks that a folder's name consists of; None if it says anything else."""
    known = _IMAGE_WORDS | _MASK_WORDS | SPLITS.keys()
    joined = _joined(name)
    if joined in known:
        return {joined}
    for split in SPLITS:  # "trainset", "TestImages"
        if joined.startswith(split) and joined.removeprefix(split) in known:
            return {split, joined.removeprefix(split)}
    words = {re.sub(r"(?:19|20)\d\d$", "", word) for word in _split(name)} - {""}
    return words if words and words <= known else None


def _split(name: str) -> list[str]:
    return re.split(r"[\s_.-]+", name.lower())


def _joined(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name.lower())
