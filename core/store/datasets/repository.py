"""The datasets of an artifact store: publish, find, list, delete, and load for training."""

import builtins
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flawsmith.core.domain.crops import Around, Crop, crop_of
from flawsmith.core.domain.image_modes import mode_of
from flawsmith.core.domain.records import Dataset, valid_name
from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import Bounds, Member, printable, read_archive
from flawsmith.core.store.artifacts import AlreadyPublished
from flawsmith.core.store.datasets.cutter import Cutter, Squares, clean_squares, clean_views
from flawsmith.core.store.datasets.dataset_folder import DatasetFolder, StagedDatasetFolder, StoredPhotograph
from flawsmith.core.store.datasets.ingestion import MAX_FILE_BYTES, single_file
from flawsmith.core.store.datasets.staged_dataset import UploadedFiles, stage, stage_behind
from flawsmith.core.store.datasets.summary import identified
from flawsmith.core.store.datasets.upload_options import DEFAULTS, UploadOptions
from flawsmith.core.store.images import Abandoned
from flawsmith.core.store.interface import Place, Store

MAX_NAME = 64  # characters


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

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings = store, settings

    def add_archive(self, name: str, archive: Path, options: UploadOptions = DEFAULTS) -> tuple[Dataset, bool]:
        """Publishes the photographs of a zip, tar or tar.gz. Returns False if the name stands for that content already.

        A photograph's folder names its defect type; photographs at the top are of the type ``name``. Layouts with
        masks, labels or splits are recognised, see `recognition`.

        Raises:
            NotAnArchive, BrokenArchive, ArchiveTooLarge, TooFewImages, UnknownSplit, CannotTell: nothing was published.
            NameTaken: the name stands for other content.
            Abandoned: nobody waits any more, and nothing was published.
        """
        bounds = Bounds(self.settings.max_archive_entries, self.settings.max_unpacked_bytes, MAX_FILE_BYTES)
        return self._add(name, read_archive(archive, bounds), archive.stat().st_size, options)

    def add_images(
        self, name: str, files: Iterable[tuple[str, Path]], options: UploadOptions = DEFAULTS
    ) -> tuple[Dataset, bool]:
        """Publishes single photographs, all of the type ``name``; else as `add_archive`."""
        paths = list(files)
        members = (single_file(file_name, path) for file_name, path in paths)
        return self._add(name, members, sum(path.stat().st_size for _, path in paths), options)

    def continue_with_archive(
        self, parent_id: str, name: str | None, archive: Path, options: UploadOptions = DEFAULTS
    ) -> tuple[Dataset, bool]:
        """Publishes a new dataset: the photographs of another one, then those of an archive that it does not have.

        Args:
            parent_id: the id or name of the dataset that is continued. It stays as it is.
            name: of the new dataset; None: the dataset that continues the parent with this content, else the first
                free one of ``NAME-2``, ``NAME-3``, …
            archive, options: as in `add_archive`.

        Raises:
            UnknownDataset: there is no such parent.
            NothingNew: the parent has all of the photographs.
            NotAnArchive and the others of `add_archive`. One new photograph is enough.
        """
        bounds = Bounds(self.settings.max_archive_entries, self.settings.max_unpacked_bytes, MAX_FILE_BYTES)
        return self._add(name, read_archive(archive, bounds), archive.stat().st_size, options, self.get(parent_id))

    def continue_with_images(
        self,
        parent_id: str,
        name: str | None,
        files: Iterable[tuple[str, Path]],
        options: UploadOptions = DEFAULTS,
    ) -> tuple[Dataset, bool]:
        """The same with single photographs, of the parent's only type, or of one that is named as the parent is."""
        paths = list(files)
        members = (single_file(file_name, path) for file_name, path in paths)
        return self._add(name, members, sum(path.stat().st_size for _, path in paths), options, self.get(parent_id))

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
        self, dataset_id: str, resolution: int, crop: Crop | Around = Around.MIDDLE, native_side: int | None = None
    ) -> "Squares":
        """The photographs for training, cut into squares that are scaled with an antialiasing filter.

        The order is that of the dataset, which depends on contents only.

        Args:
            dataset_id: or name.
            resolution: of the images.
            crop: how they are cut.
            native_side: of squares at the photographs' scale; None: the resolution.

        Raises:
            UnknownDataset: there is no such dataset.
        """
        dataset = self.get(dataset_id)
        cutter = Cutter(self.photographs(dataset_id), crop, native_side or resolution)
        return cutter.squares(cutter.types or sorted(dataset.classes), dataset.mode, resolution)

    def load_first(self, dataset_id: str, count: int, config: Mapping[str, Any]) -> "Squares":
        """The first photographs of a dataset, cut as a run with this configuration cuts them.

        They are those of the dataset that this one continues, in the same order, so these are the squares that a run
        on it had. Raises UnknownDataset.
        """
        photographs = self.photographs(dataset_id)[:count]
        cutter = Cutter(photographs, crop_of(config), config["resolution"])
        classes = cutter.types or sorted({each.defect_type for each in photographs})
        return cutter.squares(classes, mode_of(config["channels"]), config["resolution"])

    def load_clean(
        self, dataset_id: str, resolution: int, crop: Crop | Around = Around.MIDDLE, most: int | None = None
    ) -> "Squares":
        """The clean photographs, cut and scaled like those of `load`; all of the type `CLEAN`.

        With ``most``, so many of them at most, evenly chosen, and none that would have to be enlarged.

        Where there are none, beside squares at the photographs' scale: parts of the others without a defect.

        Raises:
            UnknownDataset: there is no such dataset.
            ValueError: it has neither.
        """
        dataset = self.get(dataset_id)
        return clean_squares(
            self.clean_photographs(dataset_id), self.photographs(dataset_id), crop, resolution, dataset.mode, most
        )

    def has_clean(self, dataset_id: str, resolution: int, crop: Crop) -> bool:
        """Whether `load_clean` finds a square that it need not enlarge, of a crop that is `Crop.measured`.

        Raises:
            UnknownDataset: there is no such dataset.
        """
        sources = self.clean_photographs(dataset_id), self.photographs(dataset_id)
        found = clean_views(*sources, crop, resolution)
        return any(view.side == resolution for _, views in found for view in views)

    def load_masks(
        self, dataset_id: str, resolution: int, crop: Crop | Around = Around.MIDDLE, native_side: int | None = None
    ) -> builtins.list[npt.NDArray[np.bool_] | None]:
        """For each square of `load`, the pixels that its masks mark, (resolution, resolution); None without a mask."""
        return Cutter(self.photographs(dataset_id), crop, native_side or resolution).masks(resolution)

    def load_targets(
        self, dataset_id: str, resolution: int, crop: Crop | Around, *, boxes: bool
    ) -> builtins.list[npt.NDArray[np.bool_] | None]:
        """For each square of `load`, the pixels of annotated defects: see `Cutter.targets`. Raises UnknownDataset."""
        return Cutter(self.photographs(dataset_id), crop, resolution).targets(resolution, boxes=boxes)

    def load_marks(
        self, dataset_id: str, resolution: int, crop: Crop | Around
    ) -> builtins.list[npt.NDArray[np.uint8] | None]:
        """For each square of `load`, how much of each pixel is a defect: see `Cutter.marks`. Raises UnknownDataset."""
        return Cutter(self.photographs(dataset_id), crop, resolution).marks(resolution)

    def masked_photographs(self, dataset: Dataset) -> Mapping[str, int]:
        """How many photographs have a mask of each of their defects, by type. Raises UnknownDataset."""
        return Counter(each.defect_type for each in self.photographs(dataset.id) if each.annotations.is_masked)

    def measured(self, dataset: Dataset, crop: Crop, resolution: int) -> Dataset:
        """The dataset with the effect of a crop at a resolution, and with the types of its squares.

        Only of a crop that is `Crop.measured`; the record knows the effect of the others.
        """
        if not crop.measured:
            return dataset
        effect = Cutter(self.photographs(dataset.id), crop, resolution).effect()
        crops = {**dataset.crops, crop.around: effect}
        return dataset.model_copy(update={"crops": crops, "classes": effect.types or dataset.classes})

    def photographs(self, dataset_id: str) -> builtins.list[StoredPhotograph]:
        """The photographs for training with their annotations, at the size of the upload. Raises UnknownDataset."""
        return DatasetFolder(self._folder(self.get(dataset_id).id)).photographs()

    def clean_photographs(self, dataset_id: str) -> builtins.list[StoredPhotograph]:
        """The clean photographs, like those of `photographs`. Raises UnknownDataset."""
        return DatasetFolder(self._folder(self.get(dataset_id).id)).clean()

    def of_digest(self, digest: str) -> Dataset:
        """The newest dataset with this content. Raises UnknownDataset."""
        for dataset in self.list():
            if dataset.digest == digest:
                return dataset
        raise UnknownDataset("the photographs were deleted; upload them again")

    def _add(
        self,
        name: str | None,
        members: Iterable[Member],
        sent_bytes: int,
        options: UploadOptions,
        parent: Dataset | None = None,
    ) -> tuple[Dataset, bool]:
        with self.store.staged() as staged:
            source = UploadedFiles(members, sent_bytes, options)
            if parent is None:
                dataset = stage(str(name), source, staged, self.settings)
            else:
                dataset = self._staged_behind(parent, name, source, staged)
            if options.abandoned():
                raise Abandoned
            with self.store.locked(self.store.path("locks", "dataset-names")):
                if parent:
                    self.get(parent.id)  # raises where it was deleted meanwhile
                if name is None:
                    dataset = self._freely_named(staged, dataset)
                earlier = self._named(dataset.name)
                if earlier and earlier.digest == dataset.digest:
                    return self._renewed(earlier, dataset), False
                if earlier and options.replace is None:
                    raise NameTaken(earlier)
                like = self._like(dataset, parent)
                options.check_room(0 if earlier else 1, self.store.added_bytes(staged, like))
                if earlier and options.replace:
                    options.replace(earlier)
                self._publish(staged, dataset, like)
                if earlier:
                    self.store.delete(self._folder(earlier.id))
        return dataset, True

    def _staged_behind(self, parent: Dataset, name: str | None, source: UploadedFiles, staged: Path) -> Dataset:
        try:
            folder = DatasetFolder(self._folder(parent.id))
            return stage_behind(parent, folder, name or parent.name, source, staged, self.settings)
        except FileNotFoundError:
            self.get(parent.id)  # raises where it was deleted meanwhile
            raise

    def _freely_named(self, staged: Path, dataset: Dataset) -> Dataset:
        """The dataset under the name of an equal one, else under the first free name after its parent's."""
        equal = next((each.name for each in self.list() if each.digest == dataset.digest), None)
        renamed = identified(dataset, equal or self._free_name(self.get(str(dataset.parent))))
        StagedDatasetFolder(staged).write_record(renamed)
        return renamed

    def _free_name(self, parent: Dataset) -> str:
        stem = re.sub(r"-\d+$", "", parent.name) if parent.parent else parent.name
        for number in itertools.count(2):
            ending = f"-{number}"
            name = stem[: MAX_NAME - len(ending)] + ending
            try:
                self.get(name)
            except UnknownDataset:
                return name
        raise AssertionError("a number is free")

    def _renewed(self, earlier: Dataset, upload: Dataset) -> Dataset:
        """Gives a dataset the record of a later upload of its content: other files may have been rejected."""
        renewed = upload.model_copy(update={"id": earlier.id, "created_at": earlier.created_at})
        self.store.write_json(self._folder(earlier.id) / "record.json", renewed.model_dump(mode="json"))
        return renewed

    def _publish(self, staged: Path, dataset: Dataset, like: Place | None) -> None:
        """The folder, then the name. A folder without its name was left by a process that was killed in between."""
        try:
            self.store.publish(staged, self._folder(dataset.id), like)
        except AlreadyPublished:
            self.store.delete(self._folder(dataset.id))
            self.store.publish(staged, self._folder(dataset.id), None)
        self.store.write_json(self.store.path("dataset-names", f"{dataset.name}.json"), {"id": dataset.id})

    def _like(self, dataset: Dataset, parent: Dataset | None) -> Place | None:
        """A dataset whose files this one may share: one with the same content, else the one that it continues."""
        twin = next((each for each in self.list() if each.digest == dataset.digest), parent)
        return self._folder(twin.id) if twin else None

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

    def _folder(self, dataset_id: str) -> Place:
        return self.store.path("datasets", dataset_id)
