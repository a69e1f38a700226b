"""The files of one dataset: ``record.json``, ``index.json``, ``preview.png``, and the pictures in folders.

``images`` holds the photographs that are trained on, in the order of ``index.json``; ``masks`` what belongs to them;
``clean`` photographs without a defect, in the order of ``clean.json``. Datasets of earlier releases have neither masks
nor clean photographs.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flawsmith.core.domain.crops import Around
from flawsmith.core.domain.records import Dataset
from flawsmith.core.store.datasets.crops import cut, squares
from flawsmith.core.store.datasets.ingestion import Photograph, Upload
from flawsmith.core.store.datasets.masks import Rectangle, marked
from flawsmith.core.store.datasets.preview import preview
from flawsmith.core.store.images import encode_png

NEW = "new"  # the folder of the decoded pictures of an upload
CLEAN = "good"  # what stands for the defect type of clean photographs


class DatasetFolder:
    """One folder, staged or published."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def complete(self, dataset: Dataset, upload: Upload) -> None:
        """Moves the decoded pictures to their places, and adds record, index and preview."""
        for name in ("images", "masks", "clean"):
            (self.path / name).mkdir()
        index = [self._placed(position, each) for position, each in enumerate(upload.photographs)]
        clean = [self._placed_clean(position, each) for position, each in enumerate(upload.clean)]
        shutil.rmtree(self.path / NEW)
        (self.path / "index.json").write_text(json.dumps(index))
        (self.path / "clean.json").write_text(json.dumps(clean))
        (self.path / "record.json").write_text(dataset.model_dump_json(indent=1))
        sheet = preview(self.photographs(), dataset.crop)
        (self.path / "preview.png").write_bytes(encode_png(sheet))

    def photographs(self) -> list["StoredPhotograph"]:
        """The photographs that are trained on, in their order."""
        index = json.loads((self.path / "index.json").read_bytes())
        return [StoredPhotograph(self._image(position), each) for position, each in enumerate(index)]

    def clean(self) -> list["StoredPhotograph"]:
        """The clean photographs, in their order; none in datasets of earlier releases."""
        path = self.path / "clean.json"
        index = json.loads(path.read_bytes()) if path.exists() else []
        return [
            StoredPhotograph(self._clean(position), {**each, "defect_type": CLEAN})
            for position, each in enumerate(index)
        ]

    def pictures(self) -> Iterator[Path]:
        """The files of all pictures."""
        return self.path.glob("*/*.png")

    def _placed(self, position: int, photograph: Photograph) -> dict[str, Any]:
        """Moves a photograph and its masks; returns its entry in the index."""
        self._move(photograph.staged_as, self._image(position))
        entry: dict[str, Any] = {"defect_type": photograph.defect_type, "file": photograph.file}
        if photograph.split:
            entry["split"] = photograph.split
        if photograph.masks:
            names = [f"masks/{position:06d}-{number}.png" for number in range(len(photograph.masks))]
            for name, mask in zip(names, photograph.masks, strict=True):
                self._move(mask.staged_as, self.path / name)
            entry["masks"] = names
        if photograph.boxes:
            entry["boxes"] = [asdict(box) for box in photograph.boxes]
        if photograph.defects:
            entry["defects"] = photograph.defects
        return entry

    def _placed_clean(self, position: int, photograph: Photograph) -> dict[str, Any]:
        self._move(photograph.staged_as, self._clean(position))
        return {"file": photograph.file, "split": photograph.split}

    def _image(self, position: int) -> Path:
        return self.path / "images" / f"{position:06d}.png"

    def _clean(self, position: int) -> Path:
        return self.path / "clean" / f"{position:06d}.png"

    def _move(self, staged_as: str, destination: Path) -> None:
        (self.path / NEW / staged_as).rename(destination)


class StoredPhotograph:
    """A photograph of a dataset. ``entry`` is what the index says of it."""

    def __init__(self, path: Path, entry: dict[str, Any]) -> None:
        self.path, self.defect_type, self.file = path, str(entry["defect_type"]), str(entry["file"])
        self.masks = [path.parent.parent / name for name in entry.get("masks", ())]
        self.defects: list[Rectangle] = [tuple(each) for each in entry.get("defects", ())]

    def squares(self, around: Around) -> list[Image.Image]:
        """What is trained on, see `cut`."""
        with Image.open(self.path) as image:
            image.load()
            return cut(image, around, self.defects)

    def mask_squares(self, around: Around) -> list[Image.Image | None]:
        """For each of the `squares`, a gray picture that is white where any mask marks the photograph.

        None without a mask, and where no mask has the photograph's size.
        """
        with Image.open(self.path) as image:
            size = image.size
        marks = [marked(each) for each in map(Image.open, self.masks) if each.size == size]
        if not marks:
            return [None] * len(squares(size, around, self.defects))
        together = Image.fromarray(np.logical_or.reduce(marks).astype(np.uint8) * 255)
        return list(cut(together, around, self.defects))
