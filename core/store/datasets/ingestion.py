"""Turns the files of an upload into photographs of defect types, in a staging folder."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from flawsmith.core.domain.image_modes import ImageMode
from flawsmith.core.domain.records import RejectedFile
from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import Member, printable
from flawsmith.core.store.datasets.layout import InvalidType, defect_type_of, is_passed_over
from flawsmith.core.store.images import UnusableImage, decode_photograph, encode_png, image_mode

MAX_FILE_BYTES = 256 * 1024 * 1024  # of one uploaded photograph
MIN_IMAGES = 2
MAX_CLASSES = 1000
MAX_REJECTED_LISTED = 1000


class TooFewImages(Exception):
    """The upload has fewer usable images than a GAN can be trained on; ``rejected`` says what is wrong with others."""

    def __init__(self, count: int, rejected: list[RejectedFile]) -> None:
        reason = f"; the first refused is '{rejected[0].file}': {rejected[0].reason}" if rejected else ""
        super().__init__(f"{count} usable images; at least {MIN_IMAGES} are needed{reason}")
        self.rejected = rejected


@dataclass(frozen=True, order=True)
class Photograph:
    """A usable image of an upload. Photographs sort by what decides their place in the dataset: type and content."""

    defect_type: str
    digest: str  # SHA-256 of the uploaded file
    staged_as: str = field(compare=False)
    file: str = field(compare=False)  # its path in the upload
    mode: ImageMode = field(compare=False)
    size: tuple[int, int] = field(compare=False)
    pixel_digest: str = field(compare=False)  # SHA-256; empty where all pixels are equal


@dataclass(frozen=True)
class Upload:
    """What became of an upload: its photographs in the dataset's order, and the files that cannot be used."""

    photographs: list[Photograph]
    rejected: list[RejectedFile]


class Ingestion:
    """Decodes the files of one upload, one after another, into a folder."""

    def __init__(self, name: str, folder: Path, settings: Settings) -> None:
        self.name, self.folder, self.settings = name, folder, settings
        self._photographs: list[Photograph] = []
        self._rejected: list[RejectedFile] = []
        self._classes: set[str] = set()

    def run(self, members: Iterable[Member]) -> Upload:
        """Decodes every file that is meant to be a photograph.

        Raises:
            TooFewImages: fewer than `MIN_IMAGES` can be used.
            NotAnArchive, BrokenArchive, ArchiveTooLarge: from ``members``.
        """
        for member in members:
            if is_passed_over(member.path):
                continue
            try:
                self._add(member)
            except (UnusableImage, InvalidType) as error:
                self._rejected.append(RejectedFile(file=member.path, reason=str(error)))
        if len(self._photographs) < MIN_IMAGES:
            raise TooFewImages(len(self._photographs), self._rejected[:MAX_REJECTED_LISTED])
        return Upload(sorted(self._photographs), self._rejected)

    def _add(self, member: Member) -> None:
        if member.data is None:
            raise UnusableImage(member.refusal or "unreadable")
        defect_type = defect_type_of(member.path, self.name)
        if len(self._classes | {defect_type}) > MAX_CLASSES:
            raise UnusableImage(f"more than {MAX_CLASSES} folders; a folder names a defect type")
        image = decode_photograph(
            member.data, max_pixels=self.settings.max_image_pixels, min_side=self.settings.min_image_side
        )
        staged_as = f"new-{len(self._photographs):06d}.png"
        (self.folder / staged_as).write_bytes(encode_png(image))
        digest = hashlib.sha256(member.data).hexdigest()
        self._photographs.append(
            Photograph(defect_type, digest, staged_as, member.path, image_mode(image), image.size, _pixel_digest(image))
        )
        self._classes.add(defect_type)


def single_file(name: str, path: Path) -> Member:
    """An image that was uploaded by itself, as if it stood at the top of an archive."""
    shown = printable(PurePosixPath(name.replace("\\", "/")).name) or "unnamed"
    if path.stat().st_size > MAX_FILE_BYTES:
        return Member(shown, refusal=f"larger than {MAX_FILE_BYTES:,} bytes")
    return Member(shown, path.read_bytes())


def _pixel_digest(image: Image.Image) -> str:
    if all(low == high for low, high in np.asarray(image.getextrema()).reshape(-1, 2)):
        return ""
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()
