"""The datasets of an artifact store: publish, find, list, delete, and load for training."""

import builtins
import filecmp
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flawsmith.core.domain.crops import Around, Crop
from flawsmith.core.domain.records import Dataset, valid_name
from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import Bounds, Member, printable, read_archive
from flawsmith.core.store.artifacts import AlreadyPublished, ArtifactStore
from flawsmith.core.store.datasets.cutter import Cutter, Squares, clean_squares, clean_views
from flawsmith.core.store.datasets.dataset_folder import NEW, DatasetFolder, StoredPhotograph
from flawsmith.core.store.datasets.ingestion import MAX_FILE_BYTES, Ingestion, single_file
from flawsmith.core.store.datasets.layout_options import AS_THE_FILES_SAY, LayoutOptions
from flawsmith.core.store.datasets.summary import summarise
from flawsmith.core.store.images import Abandoned


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


@dataclass(frozen=True)
class UploadOptions:
    """What a caller may ask for.

    Attributes:
        split: the split to train on, ``all`` for every one; None for the default, see `select`.
        layout: what the caller says of the layout.
        replace: None keeps a dataset of the same name with other content. Else it is called before that dataset is
            deleted, and may raise to keep it.
        abandoned: whether nobody waits for the dataset any more.
    """

    split: str | None = None
    layout: LayoutOptions = AS_THE_FILES_SAY
    replace: Callable[[Dataset], None] | None = None
    abandoned: Callable[[], bool] = lambda: False


class Datasets:
    """All datasets: ``datasets/{id}/`` in the store, and a file for each name that holds the id it stands for.

    Each dataset has its own record. Datasets of equal content share their files by hard links, so that the content is
    stored once, and deleting one dataset leaves the others whole.
    """

    def __init__(self, store: ArtifactStore, settings: Settings) -> None:
        self.store, self.settings = store, settings

    def add_archive(self, name: str, archive: Path, options: UploadOptions = UploadOptions()) -> tuple[Dataset, bool]:
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
        self, name: str, files: Iterable[tuple[str, Path]], options: UploadOptions = UploadOptions()
    ) -> tuple[Dataset, bool]:
        """Publishes single photographs, all of the type ``name``; else as `add_archive`."""
        paths = list(files)
        sent_bytes = sum(path.stat().st_size for _, path in paths)
        return self._add(name, (single_file(file_name, path) for file_name, path in paths), sent_bytes, options)

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
        self, name: str, members: Iterable[Member], sent_bytes: int, options: UploadOptions
    ) -> tuple[Dataset, bool]:
        with self.store.staged() as staged:
            (staged / NEW).mkdir()
            upload = Ingestion(
                name, staged / NEW, self.settings, sent_bytes, options.split, options.layout, options.abandoned
            ).run(members)
            dataset = summarise(name, upload)
            DatasetFolder(staged).complete(dataset, upload)
            if options.abandoned():
                raise Abandoned
            with self.store.locked(self.store.path("locks", "dataset-names")):
                earlier = self._named(name)
                if earlier and earlier.digest == dataset.digest:
                    return self._renewed(earlier, dataset), False
                if earlier and options.replace is None:
                    raise NameTaken(earlier)
                if earlier and options.replace:
                    options.replace(earlier)
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
        for path in DatasetFolder(staged).pictures():
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
