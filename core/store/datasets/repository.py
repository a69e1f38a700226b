"""The datasets of an artifact store: publish, find, list, delete, and load for training."""

import builtins
import filecmp
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
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


class NameTaken(Exception):
    """The name stands for a dataset with other content."""

    def __init__(self, dataset: Dataset) -> None:
        types = ", ".join(f"{count} of '{name}'" for name, count in list(dataset.classes.items())[:10])
        super().__init__(
            f"'{dataset.name}' is {dataset.id} with {dataset.image_count} other photographs ({types}); "
            "choose another name, or send 'replace=true' to put these in their place"
        )


class Datasets:
    """All datasets: ``datasets/{id}/`` in the store, and a file for each name that holds the id it stands for.

    Each dataset has its own record. Datasets of equal content share their files by hard links, so that the content is
    stored once, and deleting one dataset leaves the others whole.
    """

    def __init__(self, store: ArtifactStore, settings: Settings) -> None:
        self.store, self.settings = store, settings

    def add_archive(
        self, name: str, archive: Path, replace: Callable[[Dataset], None] | None = None
    ) -> tuple[Dataset, bool]:
        """Publishes the photographs of a zip, tar or tar.gz. Returns False if the name stands for that content already.

        A photograph's folder names its defect type; photographs at the top are of the type ``name``.

        Args:
            name: the dataset's name.
            archive: the file.
            replace: called before a dataset of that name with other content is deleted; it may raise to keep it.

        Raises:
            NotAnArchive, BrokenArchive, ArchiveTooLarge, TooFewImages: nothing was published.
            NameTaken: the name stands for other content, and ``replace`` is None.
        """
        bounds = Bounds(self.settings.max_archive_entries, self.settings.max_unpacked_bytes, MAX_FILE_BYTES)
        return self._add(name, read_archive(archive, bounds), replace)

    def add_images(
        self, name: str, files: Iterable[tuple[str, Path]], replace: Callable[[Dataset], None] | None = None
    ) -> tuple[Dataset, bool]:
        """Publishes single photographs, all of the type ``name``; else as `add_archive`."""
        return self._add(name, (single_file(file_name, path) for file_name, path in files), replace)

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
        with self.store.locked(self.store.path("locks", "dataset-names")):
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
        self, name: str, members: Iterable[Member], replace: Callable[[Dataset], None] | None
    ) -> tuple[Dataset, bool]:
        with self.store.staged() as staged:
            (staged / "images").mkdir()
            upload = Ingestion(name, staged / "images", self.settings).run(members)
            dataset = summarise(name, upload)
            with self.store.locked(self.store.path("locks", "dataset-names")):
                earlier = self._named(name)
                if earlier and earlier.digest == dataset.digest:
                    return self._renewed(earlier, dataset), False
                if earlier and replace is None:
                    raise NameTaken(earlier)
                if earlier and replace:
                    replace(earlier)
                _complete(staged, dataset, upload.photographs)
                self._share_files(staged, dataset.digest)
                self._publish(staged, dataset)
                if earlier:
                    self.store.delete(self._folder(earlier.id))
        return dataset, True

    def _renewed(self, earlier: Dataset, upload: Dataset) -> Dataset:
        """Gives a dataset the record of a later upload of its content: other files may have been rejected."""
        renewed = upload.model_copy(update={"id": earlier.id, "created_at": earlier.created_at})
        self.store.write_json(self._folder(earlier.id) / "record.json", renewed.model_dump(mode="json"))
        return renewed

    def _publish(self, staged: Path, dataset: Dataset) -> None:
        """The folder, then the name. A folder without its name was left by a process that was killed in between."""
        try:
            self.store.publish(staged, self._folder(dataset.id))
        except AlreadyPublished:
            self.store.delete(self._folder(dataset.id))
            self.store.publish(staged, self._folder(dataset.id))
        self.store.write_json(self.store.path("dataset-names", f"{dataset.name}.json"), {"id": dataset.id})

    def _share_files(self, staged: Path, digest: str) -> None:
        """Replaces staged files by hard links to equal files of a dataset with the same content, where there is one."""
        twin = next((self._folder(each.id) for each in self.list() if each.digest == digest), None)
        if twin is None:
            return
        for path in _stored_images(staged):
            stored = twin / path.relative_to(staged)
            with suppress(OSError):  # a file system without hard links keeps a copy
                if filecmp.cmp(path, stored, shallow=False):
                    linked = path.with_suffix(".link")
                    linked.hardlink_to(stored)
                    linked.replace(path)

    def _named(self, name: str) -> Dataset | None:
        """The dataset that the name stands for. Earlier releases let a name stand for another one's dataset."""
        try:
            found = self.get(name)
        except UnknownDataset:
            return None
        return found if found.name == name else None

    def _id_of(self, name: str) -> str | None:
        path = self.store.path("dataset-names", f"{name}.json")
        return str(self.store.read_json(path)["id"]) if path.exists() else None

    def _folder(self, dataset_id: str) -> Path:
        return self.store.path("datasets", dataset_id)


def _image_paths(folder: Path, count: int) -> list[Path]:
    return [folder / "images" / f"{index:06d}.png" for index in range(count)]


def _stored_images(folder: Path) -> Iterator[Path]:
    return folder.glob("*/*.png")


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
