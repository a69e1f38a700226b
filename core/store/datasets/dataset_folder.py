"""The files of one dataset: ``record.json``, ``index.json``, ``annotations.json``, ``preview.png``, and pictures.

``images`` holds the photographs that are trained on, at the size of the upload and in the order of ``index.json``;
``masks`` what belongs to them; ``clean`` photographs without a defect, in the order of ``clean.json``. What is known of
the defects of each stands in `annotations`. Datasets of earlier releases may lack annotations, masks and clean
photographs.
"""

import json
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flawsmith.core.domain.crops import Around
from flawsmith.core.domain.records import Dataset
from flawsmith.core.domain.training_config import usual_resolution
from flawsmith.core.store.datasets.annotations import (
    Annotations,
    Defect,
    defect_of,
    read_annotations,
    write_annotations,
)
from flawsmith.core.store.datasets.boxes import Box, in_pixels
from flawsmith.core.store.datasets.crops import cut, squares
from flawsmith.core.store.datasets.ingestion import Photograph, Upload
from flawsmith.core.store.datasets.masks import Rectangle, marked, regions
from flawsmith.core.store.datasets.preview import preview
from flawsmith.core.store.images import encode_png
from flawsmith.core.store.interface import Place

NEW = "new"  # the folder of the decoded pictures of an upload
BOX_FIELDS = ("x", "y", "width", "height", "defect_type", "relative")
_IMAGE, _CLEAN = "images/{:06d}.png", "clean/{:06d}.png"  # by position
CLEAN = "good"  # what stands for the defect type of clean photographs


class DatasetFolder:
    """One folder, published or staged."""

    def __init__(self, path: Place) -> None:
        self.path = path

    def photographs(self) -> list["StoredPhotograph"]:
        """The photographs that are trained on, in their order."""
        index = json.loads((self.path / "index.json").read_bytes())
        known = read_annotations(self.path, "photographs")
        return [StoredPhotograph(self._image(i), each, known[i] if known else None) for i, each in enumerate(index)]

    def clean(self) -> list["StoredPhotograph"]:
        """The clean photographs, in their order; none in datasets of earlier releases."""
        known = read_annotations(self.path, "clean")
        entries = [{**each, "defect_type": CLEAN} for each in self.clean_index()]
        return [StoredPhotograph(self._clean(i), each, known[i] if known else None) for i, each in enumerate(entries)]

    def pictures(self) -> Iterator[Place]:
        """The files of all pictures."""
        return self.path.glob("*/*.png")

    def counts(self) -> tuple[int, int]:
        """How many masks and boxes belong to the photographs."""
        index = json.loads((self.path / "index.json").read_bytes())
        masks, boxes = (sum(len(each.get(name, ())) for each in index) for name in ("masks", "boxes"))
        return masks, boxes

    def clean_index(self) -> list[dict[str, Any]]:
        """What is written of each clean photograph."""
        path = self.path / "clean.json"
        found: list[dict[str, Any]] = json.loads(path.read_bytes()) if path.exists() else []
        return found

    def _image(self, position: int) -> Place:
        return self.path / _IMAGE.format(position)

    def _clean(self, position: int) -> Place:
        return self.path / _CLEAN.format(position)


class StagedDatasetFolder(DatasetFolder):
    """A folder that is being filled, on the local disk."""

    path: Path

    def __init__(self, path: Path) -> None:
        super().__init__(path)

    def complete(self, dataset: Dataset, upload: Upload, parent: "DatasetFolder | None" = None) -> None:
        """Moves the decoded pictures to their places, and adds record, index and preview.

        Those of a ``parent`` come first, in its order; their files are shared by hard links. Raises FileNotFoundError
        where the parent was deleted meanwhile.
        """
        for name in ("images", "masks", "clean"):
            (self.path / name).mkdir()
        index, clean = ([], []) if parent is None else self._linked(parent)
        known = [] if parent is None else [each.annotations for each in parent.photographs()]
        known_clean = [] if parent is None else [each.annotations for each in parent.clean()]
        index += [self._placed(position, each) for position, each in enumerate(upload.photographs, len(index))]
        clean += [self._placed_clean(position, each) for position, each in enumerate(upload.clean, len(clean))]
        shutil.rmtree(self.path / NEW)
        (self.path / "index.json").write_text(json.dumps(index))
        (self.path / "clean.json").write_text(json.dumps(clean))
        write_annotations(
            self.path,
            [*known, *(each.annotations for each in upload.photographs)],
            [*known_clean, *(each.annotations for each in upload.clean)],
        )
        self.write_record(dataset)
        sheet = preview(self.photographs(), dataset.crop, usual_resolution(dataset))
        (self.path / "preview.png").write_bytes(encode_png(sheet))

    def write_record(self, dataset: Dataset) -> None:
        """Only in a folder that is not published yet."""
        (self.path / "record.json").write_text(dataset.model_dump_json(indent=1))

    def _linked(self, parent: "DatasetFolder") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Takes over the pictures of a parent; returns the entries of its photographs and of its clean ones."""
        for path in parent.pictures():
            link_or_copy(path, self.path / path.parent.name / path.name)
        return json.loads((parent.path / "index.json").read_bytes()), parent.clean_index()

    def _placed(self, position: int, photograph: Photograph) -> dict[str, Any]:
        """Moves a photograph and its masks; returns its entry in the index."""
        self._move(photograph.staged_as, self.path / _IMAGE.format(position))
        entry: dict[str, Any] = {
            "defect_type": photograph.defect_type,
            "file": photograph.file,
            "digest": photograph.digest,
        }
        if photograph.synthetic:
            entry["synthetic"] = True
        if photograph.split:
            entry["split"] = photograph.split
        if photograph.masks:
            names = [f"masks/{position:06d}-{number}.png" for number in range(len(photograph.masks))]
            for name, mask in zip(names, photograph.masks, strict=True):
                self._move(mask.staged_as, self.path / name)
            entry["masks"] = names
        if photograph.boxes:
            entry["boxes"] = [{name: getattr(box, name) for name in BOX_FIELDS} for box in photograph.boxes]
        if photograph.defects:
            entry["defects"] = photograph.annotations.boxes  # for earlier releases
        return entry

    def _placed_clean(self, position: int, photograph: Photograph) -> dict[str, Any]:
        self._move(photograph.staged_as, self.path / _CLEAN.format(position))
        entry = {"file": photograph.file, "split": photograph.split, "digest": photograph.digest}
        return entry | ({"synthetic": True} if photograph.synthetic else {})

    def _move(self, staged_as: str, destination: Path) -> None:
        (self.path / NEW / staged_as).rename(destination)


def link_or_copy(path: Place, destination: Path) -> None:
    """A hard link; a copy from a store in a bucket, and on file systems without them. Raises FileNotFoundError."""
    if not isinstance(path, Path):
        destination.write_bytes(path.read_bytes())
        return
    try:
        destination.hardlink_to(path)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(path, destination)


class StoredPhotograph:
    """A photograph of a dataset. ``path`` is its picture, at the size of the upload.

    Args:
        path: of its picture.
        entry: what the index says of it.
        known: its annotations; None in datasets of earlier releases.
    """

    def __init__(self, path: Place, entry: dict[str, Any], known: Annotations | None = None) -> None:
        self.path, self.defect_type, self.file = path, str(entry["defect_type"]), str(entry["file"])
        self.digest = str(entry.get("digest", ""))  # of the uploaded file; empty in datasets of earlier releases
        self.synthetic = bool(entry.get("synthetic"))  # its file said so; not looked at by earlier releases
        self.masks = [path.parent.parent / name for name in entry.get("masks", ())]
        self.defects: list[Rectangle] = [tuple(each) for each in entry.get("defects", ())]
        self._entry, self._known = entry, known

    @cached_property
    def annotations(self) -> Annotations:
        """What is known of its defects. For datasets of earlier releases it is made of masks, else of boxes."""
        if self._known:
            return self._known
        with self.path.open("rb") as file, Image.open(file) as image:
            size = image.size
        marks = self._marks(size)
        found = [defect_of(region, self.defect_type) for mark in marks for region in regions(mark)]
        stored = [in_pixels(Box(**each), size) for each in self._entry.get("boxes", ())]
        boxes = [
            Defect(each.defect_type or self.defect_type, (each.x, each.y, each.width, each.height))
            for each in stored
            if each
        ]
        clean = self.defect_type == CLEAN and self.path.parent.name == "clean"
        return Annotations(self.file, size, tuple(found or boxes), clean, self._entry.get("split"))

    def squares(self, around: Around) -> list[Image.Image]:
        """What is trained on, see `cut`."""
        with self.path.open("rb") as file, Image.open(file) as image:
            image.load()
            return cut(image, around, self.defects)

    def mask_squares(self, around: Around) -> list[Image.Image | None]:
        """For each of the `squares`, a gray picture that is white where any mask marks the photograph.

        None without a mask, and where no mask has the photograph's size.
        """
        with self.path.open("rb") as file, Image.open(file) as image:
            size = image.size
        marks = self._marks(size)
        if not marks:
            return [None] * len(squares(size, around, self.defects))
        together = Image.fromarray(np.logical_or.reduce(marks).astype(np.uint8) * 255)
        return list(cut(together, around, self.defects))

    def _marks(self, size: tuple[int, int]) -> list[NDArray[np.bool_]]:
        """The pixels that each mask of this size marks."""
        marks = []
        for each in self.masks:
            with each.open("rb") as file, Image.open(file) as mask:
                if mask.size == size:
                    marks.append(marked(mask))
        return marks
