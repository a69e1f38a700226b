"""Turns the files of an upload into photographs of defect types, in a staging folder."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from flawsmith.core.domain.image_modes import ImageMode
from flawsmith.core.domain.records import RejectedFile
from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import Member, printable
from flawsmith.core.store.datasets.decoding_budget import DecodingBudget
from flawsmith.core.store.datasets.layout import InvalidType, defect_type_of, is_passed_over
from flawsmith.core.store.datasets.wide_photographs import WidePhotographs
from flawsmith.core.store.images import DecoderProcess, UnusableImage

MAX_FILE_BYTES = 256 * 1024 * 1024  # of one uploaded photograph
MIN_IMAGES = 2
MAX_CLASSES = 1000
MAX_REJECTED_LISTED = 1000
MAX_REJECTED_BYTES = 256 * 1024  # of all listed names and reasons, in JSON
MAX_LISTED_PATH_LENGTH = 200  # characters


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
    warnings: list[str] = field(default_factory=list)


class Ingestion:
    """Decodes the files of one upload, one after another, into a folder."""

    def __init__(
        self, name: str, folder: Path, settings: Settings, sent_bytes: int, abandoned: Callable[[], bool]
    ) -> None:
        self.name, self.folder, self.settings = name, folder, settings
        self._decoder = DecoderProcess(settings.max_image_pixels, settings.min_image_side, abandoned)
        self._budget = DecodingBudget(settings.max_upload_pixels, sent_bytes)
        self._wide = WidePhotographs(folder)
        self._photographs: list[Photograph] = []
        self._rejected: list[RejectedFile] = []
        self._classes: set[str] = set()

    def run(self, members: Iterable[Member]) -> Upload:
        """Decodes every file that is meant to be a photograph.

        Raises:
            TooFewImages: fewer than `MIN_IMAGES` can be used.
            NotAnArchive, BrokenArchive, ArchiveTooLarge: from ``members``; ArchiveTooLarge also if decoding takes more
                time or pixels than one upload may.
            Abandoned: nobody waits any more.
        """
        with self._decoder:
            for member in members:
                if is_passed_over(member.path):
                    continue
                try:
                    self._add(member)
                except (UnusableImage, InvalidType) as error:
                    self._rejected.append(RejectedFile(file=shortened(member.path), reason=str(error)))
                self._budget.seconds = self._decoder.seconds
                self._budget.check()
            rescaled = dict(self._wide.rescaled(self._decoder))
        self._photographs = [
            replace(each, mode=file.mode, pixel_digest=file.pixel_digest)
            if (file := rescaled.get(each.staged_as))
            else each
            for each in self._photographs
        ]
        if len(self._photographs) < MIN_IMAGES:
            raise TooFewImages(len(self._photographs), listed(self._rejected))
        return Upload(sorted(self._photographs), self._rejected, self._wide.warnings())

    def _add(self, member: Member) -> None:
        if member.data is None:
            raise UnusableImage(member.refusal or "unreadable")
        defect_type = defect_type_of(member.path, self.name)
        if len(self._classes | {defect_type}) > MAX_CLASSES:
            raise UnusableImage(f"more than {MAX_CLASSES} folders; a folder names a defect type")
        file = self._decoder.decode(member.data, self._budget.seconds_left)
        self._budget.pixels += file.size[0] * file.size[1]
        staged_as = f"new-{len(self._photographs):06d}.png"
        (self.folder / staged_as).write_bytes(file.png)
        if file.range:
            self._wide.add(staged_as, member.data, file.range)
        digest = hashlib.sha256(member.data).hexdigest()
        self._photographs.append(
            Photograph(defect_type, digest, staged_as, member.path, file.mode, file.size, file.pixel_digest)
        )
        self._classes.add(defect_type)


def shortened(path: str) -> str:
    """The path, without its middle where it is too long to list."""
    half = MAX_LISTED_PATH_LENGTH // 2
    return path if len(path) <= MAX_LISTED_PATH_LENGTH else f"{path[:half]} … {path[-half:]}"


def listed(rejected: list[RejectedFile]) -> list[RejectedFile]:
    """As many of the rejected files as an answer may list, and a last entry that counts the others."""
    count = size = 0
    for each in rejected[:MAX_REJECTED_LISTED]:
        size += len(json.dumps([each.file, each.reason]))
        if size > MAX_REJECTED_BYTES:
            break
        count += 1
    if count == len(rejected):
        return rejected
    return [*rejected[:count], RejectedFile(file="…", reason=f"and {len(rejected) - count} more")]


def single_file(name: str, path: Path) -> Member:
    """An image that was uploaded by itself, as if it stood at the top of an archive."""
    shown = printable(PurePosixPath(name.replace("\\", "/")).name) or "unnamed"
    if path.stat().st_size > MAX_FILE_BYTES:
        return Member(shown, refusal=f"larger than {MAX_FILE_BYTES:,} bytes")
    return Member(shown, path.read_bytes())
