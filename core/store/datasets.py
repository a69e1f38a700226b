"""From an upload's files to a published dataset, and back to pictures."""

import builtins
import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from flawsmith.core.domain.image_modes import CHANNELS
from flawsmith.core.domain.records import Dataset, RejectedFile, SizeRange, now, valid_name
from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import Bounds, Member, printable, read_archive
from flawsmith.core.store.artifacts import AlreadyPublished, ArtifactStore
from flawsmith.core.store.images import UnusableImage, contact_sheet, decode_photograph, encode_png

LARGEST_FILE = 256 * 1024 * 1024  # bytes of one photograph as it comes
FEWEST_IMAGES = 2
LONGEST_SIDE = 3  # as many times the other side; of a longer photograph too little is used
MOST_CLASSES = 1000
REJECTED_LISTED = 1000
PREVIEW_COLUMNS, PREVIEW_ROWS = 12, 24

_PASSED_OVER_NAMES = {"thumbs.db", "desktop.ini"}
_PASSED_OVER_SUFFIXES = {
    ".txt", ".md", ".rst", ".xml", ".json", ".csv", ".tsv", ".html", ".htm", ".pdf", ".yaml", ".yml",
    ".toml", ".ini", ".log", ".doc", ".docx", ".xls", ".xlsx", ".py", ".mat", ".npy",
}  # fmt: skip


class UnknownDataset(Exception):
    """There is no dataset of that id or name."""


class TooFewImages(Exception):
    """Fewer usable images than a GAN can be trained on; ``rejected`` says what was wrong with the others."""

    def __init__(self, count: int, rejected: list[RejectedFile]) -> None:
        reason = f"; the first refused is '{rejected[0].file}': {rejected[0].reason}" if rejected else ""
        super().__init__(f"{count} usable images; at least {FEWEST_IMAGES} are needed{reason}")
        self.rejected = rejected


@dataclass(frozen=True, order=True)
class _Photograph:
    """A usable image: what decides its place in the dataset, and what is known of it."""

    defect_type: str
    digest: str
    staged_as: str = field(compare=False)
    file: str = field(compare=False)
    mode: str = field(compare=False)
    size: tuple[int, int] = field(compare=False)
    picture: str = field(compare=False)  # a digest of its pixels; empty where all of them are alike


class Datasets:
    """All datasets, in the artifact store: `datasets/{id}/` and, for each name, the id that it means."""

    def __init__(self, store: ArtifactStore, settings: Settings) -> None:
        self.store, self.settings = store, settings

    def add_archive(self, name: str, archive: Path) -> tuple[Dataset, bool]:
        """Publishes a zip's, tar's or tar.gz's photographs; False where the same content was there.

        The folder that holds an image names its defect type; images at the top are of the type ``name``.

        Raises:
            NotAnArchive, BrokenArchive, ArchiveTooLarge, TooFewImages: nothing was published.
        """
        bounds = Bounds(self.settings.max_archive_entries, self.settings.max_unpacked_bytes, LARGEST_FILE)
        return self._add(name, read_archive(archive, bounds))

    def add_images(self, name: str, files: Iterable[tuple[str, Path]]) -> tuple[Dataset, bool]:
        """Publishes single photographs, all of the type ``name``; False where the same content was there.

        Raises:
            TooFewImages: nothing was published.
        """
        return self._add(name, (_single(file_name, path) for file_name, path in files))

    def get(self, id_or_name: str) -> Dataset:
        """Raises UnknownDataset."""
        if valid_name(id_or_name):
            for each in (id_or_name, self._named(id_or_name)):
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
        """Removes a dataset and the names that mean it."""
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

        Each is cropped to its middle square and scaled with an antialiasing filter; the order is the dataset's own.
        """
        dataset = self.get(dataset_id)
        classes = sorted(dataset.classes)
        index = self.store.read_json(self._folder(dataset.id) / "index.json")
        channels = CHANNELS[dataset.mode]
        pixels = np.empty((len(index), resolution, resolution, channels), np.uint8)
        for row, path in enumerate(self._paths(dataset.id, len(index))):
            with Image.open(path) as image:
                square = ImageOps.fit(image.convert(dataset.mode), (resolution, resolution), Image.Resampling.LANCZOS)
                pixels[row] = np.asarray(square).reshape(resolution, resolution, channels)
        return pixels, np.array([classes.index(each["defect_type"]) for each in index], np.int64), classes

    def _add(self, name: str, members: Iterable[Member]) -> tuple[Dataset, bool]:
        with self.store.staged() as staged:
            photographs, rejected = self._stage(name, members, staged)
            if len(photographs) < FEWEST_IMAGES:
                raise TooFewImages(len(photographs), rejected[:REJECTED_LISTED])
            dataset = _record(name, photographs, rejected)
            created = not (self._folder(dataset.id) / "record.json").exists()
            if created:
                self._complete(staged, dataset, photographs)
                try:
                    self.store.publish(staged, self._folder(dataset.id))
                except AlreadyPublished:  # the same upload at the same time was faster
                    created = False
            self.store.write_json(self.store.path("dataset-names", f"{name}.json"), {"id": dataset.id})
        return self.get(dataset.id), created

    def _stage(
        self, name: str, members: Iterable[Member], staged: Path
    ) -> tuple[builtins.list[_Photograph], builtins.list[RejectedFile]]:
        """Decodes one file after another into the staging folder; what is no image and says so is passed over."""
        folder = staged / "images"
        folder.mkdir()
        photographs: list[_Photograph] = []
        rejected: list[RejectedFile] = []
        classes: set[str] = set()
        for member in members:
            if _passed_over(member.path):
                continue
            try:
                photograph = self._photograph(name, member, classes, folder / f"new-{len(photographs):06d}.png")
                classes.add(photograph.defect_type)
                photographs.append(photograph)
            except UnusableImage as error:
                rejected.append(RejectedFile(file=member.path, reason=str(error)))
        return sorted(photographs), rejected

    def _photograph(self, name: str, member: Member, classes: set[str], path: Path) -> _Photograph:
        if member.data is None:
            raise UnusableImage(member.refusal or "unreadable")
        folders = PurePosixPath(member.path).parent.parts
        defect_type = _defect_type(folders[-1]) if folders else name
        if len(classes | {defect_type}) > MOST_CLASSES:
            raise UnusableImage(f"more than {MOST_CLASSES} folders; a folder names a defect type")
        image = decode_photograph(
            member.data, max_pixels=self.settings.max_image_pixels, min_side=self.settings.min_image_side
        )
        path.write_bytes(encode_png(image))
        digest = hashlib.sha256(member.data).hexdigest()
        return _Photograph(defect_type, digest, path.name, member.path, image.mode, image.size, _picture(image))

    def _complete(self, staged: Path, dataset: Dataset, photographs: builtins.list[_Photograph]) -> None:
        """Gives the images their final names and adds what belongs to them."""
        for index, each in enumerate(photographs):
            (staged / "images" / each.staged_as).rename(staged / "images" / f"{index:06d}.png")
        index_entries = [{"defect_type": each.defect_type, "file": each.file} for each in photographs]
        (staged / "index.json").write_text(json.dumps(index_entries))
        (staged / "record.json").write_text(dataset.model_dump_json(indent=1))
        (staged / "preview.png").write_bytes(encode_png(_preview(staged / "images", photographs)))

    def _named(self, name: str) -> str | None:
        path = self.store.path("dataset-names", f"{name}.json")
        return str(self.store.read_json(path)["id"]) if path.exists() else None

    def _paths(self, dataset_id: str, count: int) -> Iterator[Path]:
        return (self._folder(dataset_id) / "images" / f"{index:06d}.png" for index in range(count))

    def _folder(self, dataset_id: str) -> Path:
        return self.store.path("datasets", dataset_id)


def _single(file_name: str, path: Path) -> Member:
    name = printable(PurePosixPath(file_name.replace("\\", "/")).name) or "unnamed"
    if path.stat().st_size > LARGEST_FILE:
        return Member(name, refusal=f"larger than {LARGEST_FILE:,} bytes")
    return Member(name, path.read_bytes())


def _passed_over(path: str) -> bool:
    """Whether a file is not an image at all and says so."""
    parts = PurePosixPath(path).parts
    name = parts[-1].lower() if parts else ""
    return (
        "__MACOSX" in parts
        or name in _PASSED_OVER_NAMES
        or (name.startswith(".") and name != "..")
        or PurePosixPath(name).suffix in _PASSED_OVER_SUFFIXES
    )


def _defect_type(folder: str) -> str:
    name = re.sub(r"\s+", " ", unicodedata.normalize("NFC", folder)).strip()
    if not name or len(name) > 64 or name.startswith(".") or not name.isprintable():
        raise UnusableImage(
            "its folder's name cannot be a defect type: give 1 to 64 printable characters, no leading dot"
        )
    return name


def _picture(image: Image.Image) -> str:
    if all(low == high for low, high in np.asarray(image.getextrema()).reshape(-1, 2)):
        return ""
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()


def _warnings(photographs: list[_Photograph]) -> list[str]:
    """What is odd about a dataset's photographs, in words."""
    found = []
    for defect_type in sorted({each.defect_type for each in photographs}):
        of_type = [each for each in photographs if each.defect_type == defect_type]
        pictures = [each.picture for each in of_type if each.picture]
        if plain := len(of_type) - len(pictures):
            found.append(
                f"{plain} of {len(of_type)} photographs of '{defect_type}' are plain: all their pixels are alike"
            )
        if copies := len(pictures) - len(set(pictures)):
            found.append(f"{copies} of {len(of_type)} photographs of '{defect_type}' are copies of others of them")
    if long := [each for each in photographs if max(each.size) > LONGEST_SIDE * min(each.size)]:
        width, height = long[0].size
        found.append(
            f"{len(long)} photographs are far longer than wide ('{long[0].file}' has {width}x{height} pixels): only "
            "the middle square of each is used; cut them into squares"
        )
    return found


def _record(name: str, photographs: list[_Photograph], rejected: list[RejectedFile]) -> Dataset:
    """The record of these photographs. Their digest counts type and content, neither file names nor order."""
    content = "".join(f"{each.defect_type}\n{each.digest}\n" for each in photographs)
    digest = hashlib.sha256(content.encode()).hexdigest()
    widths, heights = zip(*(each.size for each in photographs), strict=True)
    if len(rejected) > REJECTED_LISTED:
        rest = RejectedFile(file="…", reason=f"and {len(rejected) - REJECTED_LISTED} more")
        rejected = [*rejected[:REJECTED_LISTED], rest]
    return Dataset(
        id=f"ds-{digest[:16]}",
        name=name,
        digest=digest,
        image_count=len(photographs),
        classes=dict(sorted(Counter(each.defect_type for each in photographs).items())),
        size=SizeRange(min=(min(widths), min(heights)), max=(max(widths), max(heights))),
        mode="L" if all(each.mode == "L" for each in photographs) else "RGB",
        distinct={
            name: len({each.picture for each in photographs if each.defect_type == name and each.picture})
            for name in sorted({each.defect_type for each in photographs})
        },
        warnings=_warnings(photographs),
        rejected=rejected,
        created_at=now(),
    )


def _preview(folder: Path, photographs: list[_Photograph]) -> Image.Image:
    """Some of each type, evenly picked."""
    rows: dict[str, list[int]] = {}
    for index, each in enumerate(photographs):
        rows.setdefault(each.defect_type, []).append(index)
    sheets = {}
    for defect_type in sorted(rows)[:PREVIEW_ROWS]:
        indices = rows[defect_type]
        count = min(PREVIEW_COLUMNS, len(indices))
        picked = [indices[position * len(indices) // count] for position in range(count)]
        sheets[defect_type] = [_thumbnail(folder / f"{index:06d}.png") for index in picked]
    return contact_sheet(sheets)


def _thumbnail(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.thumbnail((192, 192))
        return image.copy()
