"""The datasets of an artifact store: publish, find, list, delete, and load for training."""

import builtins
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from flawsmith.core.domain.image_modes import CHANNELS
from flawsmith.core.domain.records import Dataset, valid_name
from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import Bounds, Member, printable, read_archive
from flawsmith.core.store.artifacts import AlreadyPublished, ArtifactStore
from flawsmith.core.store.datasets.ingestion import MAX_FILE_BYTES, Ingestion, Photograph, single_file
from flawsmith.core.store.datasets.preview import preview
from flawsmith.core.store.datasets.summary import summarise
from flawsmith.core.store.images import encode_png, to_pixels


class UnknownDataset(Exception):
    """There is no dataset with that id or name."""


class Datasets:
    """All datasets: ``datasets/{id}/`` in the store, and a file for each name that holds the id it stands for."""

    def __init__(self, store: ArtifactStore, settings: Settings) -> None:
        self.store, self.settings = store, settings

    def add_archive(
        self, name: str, archive: Path, abandoned: Callable[[], bool] = lambda: False
    ) -> tuple[Dataset, bool]:
        """Publishes the photographs of a zip, tar or tar.gz. Returns False if the same content was published before.

        A photograph's folder names its defect type; photographs at the top are of the type ``name``.

        Raises:
            NotAnArchive, BrokenArchive, ArchiveTooLarge, TooFewImages: nothing was published.
            Abandoned: nor was anything once ``abandoned`` is true.
        """
        bounds = Bounds(self.settings.max_archive_entries, self.settings.max_unpacked_bytes, MAX_FILE_BYTES)
        return self._add(name, read_archive(archive, bounds), archive.stat().st_size, abandoned)

    def add_images(
        self, name: str, files: Iterable[tuple[str, Path]], abandoned: Callable[[], bool] = lambda: False
    ) -> tuple[Dataset, bool]:
        """Publishes single photographs, all of the type ``name``. Returns False if the content was published before.

        Raises:
            ArchiveTooLarge, TooFewImages, Abandoned: nothing was published.
        """
        paths = list(files)
        sent_bytes = sum(path.stat().st_size for _, path in paths)
        return self._add(name, (single_file(file_name, path) for file_name, path in paths), sent_bytes, abandoned)

    def get(self, id_or_name: str) -> Dataset:
        """Raises UnknownDataset."""
        if valid_name(id_or_name):
            for each in (id_or_name, self._id_of(id_or_name)):
                record = self._folder(each) / "record.json" if each else None
                if record and record.exists():
                    return Dataset.model_validate_json(record.read_bytes())
        known = ", ".join(dataset.name for dataset in self.list()[:10]) or "none yet"
        raise UnknownDataset(f"there is no dataset '{printable(id_or_name)}'; datasets: {known}")

    def list(self) -> builtins.list[Dataset]:
        """Newest first."""
        records = self.store.path("datasets").glob("ds-*/record.json")
        found = [Dataset.model_validate_json(record.read_bytes()) for record in records]
        return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)

    def delete(self, dataset_id: str) -> None:
        """Removes a dataset and the names that stand for it."""
        for path in self.store.path("dataset-names").glob("*.json"):
            if self.store.read_json(path)["id"] == dataset_id:
                path.unlink(missing_ok=True)
        self.store.delete(self._folder(dataset_id))

    def preview(self, dataset_id: str) -> bytes:
        """The contact sheet, a PNG."""
        return (self._folder(dataset_id) / "preview.png").read_bytes()

    def load(
        self, dataset_id: str, resolution: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], builtins.list[str]]:
        """The photographs for training: (N, resolution, resolution, channels) uint8, (N,) type indices, type names.

        Each photograph is cropped to its middle square and scaled with an antialiasing filter. The order is that of
        the dataset, which depends on contents only.
        """
        dataset = self.get(dataset_id)
        classes = sorted(dataset.classes)
        index = self.store.read_json(self._folder(dataset.id) / "index.json")
        pixels = np.empty((len(index), resolution, resolution, CHANNELS[dataset.mode]), np.uint8)
        for row, path in enumerate(_image_paths(self._folder(dataset.id), len(index))):
            with Image.open(path) as image:
                pixels[row] = to_pixels(image, dataset.mode, resolution)
        return pixels, np.array([classes.index(each["defect_type"]) for each in index], np.int64), classes

    def _add(
        self, name: str, members: Iterable[Member], sent_bytes: int, abandoned: Callable[[], bool]
    ) -> tuple[Dataset, bool]:
        with self.store.staged() as staged:
            (staged / "images").mkdir()
            upload = Ingestion(name, staged / "images", self.settings, sent_bytes, abandoned).run(members)
            dataset = summarise(name, upload)
            created = not (self._folder(dataset.id) / "record.json").exists()
            if created:
                _complete(staged, dataset, upload.photographs)
                try:
                    self.store.publish(staged, self._folder(dataset.id))
                except AlreadyPublished:  # an equal upload was published in the meantime
                    created = False
            self.store.write_json(self.store.path("dataset-names", f"{name}.json"), {"id": dataset.id})
        return self.get(dataset.id), created

    def _id_of(self, name: str) -> str | None:
        path = self.store.path("dataset-names", f"{name}.json")
        return str(self.store.read_json(path)["id"]) if path.exists() else None

    def _folder(self, dataset_id: str) -> Path:
        return self.store.path("datasets", dataset_id)


def _image_paths(folder: Path, count: int) -> list[Path]:
    return [folder / "images" / f"{index:06d}.png" for index in range(count)]


def _complete(staged: Path, dataset: Dataset, photographs: list[Photograph]) -> None:
    """Gives the staged images their final names, and adds index, record and preview."""
    paths = _image_paths(staged, len(photographs))
    for path, each in zip(paths, photographs, strict=True):
        (staged / "images" / each.staged_as).rename(path)
    index = [{"defect_type": each.defect_type, "file": each.file} for each in photographs]
    (staged / "index.json").write_text(json.dumps(index))
    (staged / "record.json").write_text(dataset.model_dump_json(indent=1))
    sheet = preview(paths, [each.defect_type for each in photographs])
    (staged / "preview.png").write_bytes(encode_png(sheet))
