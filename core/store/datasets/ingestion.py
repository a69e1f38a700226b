"""Turns the files of an upload into photographs of defect types, in a staging folder."""

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from flawsmith.core.domain.image_modes import ImageMode
from flawsmith.core.domain.records import RejectedFile
from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import Member, printable
from flawsmith.core.store.datasets.annotating import Annotator
from flawsmith.core.store.datasets.annotations import Annotations, Defect
from flawsmith.core.store.datasets.boxes import Box
from flawsmith.core.store.datasets.decoding_budget import DecodingBudget
from flawsmith.core.store.datasets.defect_types import name_types
from flawsmith.core.store.datasets.layout import InvalidType, is_document, is_passed_over, valid_type
from flawsmith.core.store.datasets.layout_options import AS_THE_FILES_SAY, LayoutOptions
from flawsmith.core.store.datasets.masks import look_of, without_white
from flawsmith.core.store.datasets.pairing import Picture
from flawsmith.core.store.datasets.passed_over import PassedOver
from flawsmith.core.store.datasets.recognition import Recognised, Role, recognise
from flawsmith.core.store.datasets.rejected_files import listed, shortened
from flawsmith.core.store.datasets.selection import Selection, select
from flawsmith.core.store.datasets.wide_photographs import WidePhotographs
from flawsmith.core.store.images import (
    Abandoned,
    DecodedFile,
    DecoderProcess,
    UnusableImage,
    encode_png,
    says_synthetic,
)

MAX_FILE_BYTES = 256 * 1024 * 1024  # of one uploaded photograph
MAX_LABEL_BYTES = 32 * 1024 * 1024  # of all label files of an upload
MIN_IMAGES = 2
MAX_CLASSES = 1000
WHITE_IGNORED = (
    "the masks' levels are numbers of types or defects, so their white (255; 65,535 in 16 bits) was taken for a sign "
    "to ignore pixels; where white marks defects too, send masks of black and white"
)


class TooFewImages(Exception):
    """The upload has fewer usable images than a GAN can be trained on; ``rejected`` says what is wrong with others."""

    def __init__(self, count: int, rejected: list[RejectedFile], least: int = MIN_IMAGES) -> None:
        reason = f"; the first refused is '{rejected[0].file}': {rejected[0].reason}" if rejected else ""
        needed = f"at least {least} {'is' if least == 1 else 'are'} needed"
        super().__init__(f"{count} usable images; {needed}{reason}")
        self.rejected = rejected


@dataclass(frozen=True, order=True)
class Photograph:
    """A usable photograph of an upload. Photographs sort by what decides their place: type and content."""

    defect_type: str  # empty for a clean photograph
    digest: str  # SHA-256 of the uploaded file
    staged_as: str = field(compare=False)
    file: str = field(compare=False)  # its path in the upload
    mode: ImageMode = field(compare=False)
    size: tuple[int, int] = field(compare=False)
    pixel_digest: str = field(compare=False)  # SHA-256; empty where all pixels are equal
    split: str | None = field(default=None, compare=False)
    masks: tuple[Picture, ...] = field(default=(), compare=False)
    boxes: tuple[Box, ...] = field(default=(), compare=False)  # in pixels
    defects: tuple[Defect, ...] = field(default=(), compare=False)
    synthetic: bool = field(default=False, compare=False)  # its file says so

    @property
    def annotations(self) -> Annotations:
        """What the dataset keeps of it."""
        return Annotations(self.file, self.size, self.defects, not self.defect_type, self.split)


@dataclass(frozen=True)
class Upload:
    """What became of an upload: photographs in the dataset's order, clean ones, and files that cannot be used."""

    photographs: list[Photograph]
    rejected: list[RejectedFile]
    clean: list[Photograph] = field(default_factory=list)
    kind: str = "imagefolder"
    splits: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Ingestion:
    """Decodes the files of one upload, one after another, into a folder, then tells what each of them is.

    Args:
        name: the type of photographs of which nothing says it.
        folder: for the decoded pictures.
        settings: their bounds.
        sent_bytes: of the upload.
        split: to train on, see `select`.
        layout: what the caller says of it.
        abandoned: whether nobody waits any more.
        known_types: of the dataset that the photographs are added to; None where they are a dataset of their own.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        settings: Settings,
        sent_bytes: int,
        split: str | None = None,
        layout: LayoutOptions = AS_THE_FILES_SAY,
        abandoned: Callable[[], bool] = lambda: False,
        known_types: Collection[str] | None = None,
    ) -> None:
        self.known_types = known_types
        self.name, self.folder, self.split, self.layout = name, folder, split, layout
        self._abandoned = abandoned
        self._decoder = DecoderProcess(settings.max_image_pixels, settings.min_image_side, abandoned)
        self._budget = DecodingBudget(settings.max_upload_pixels, sent_bytes)
        self._wide = WidePhotographs(folder)
        self._pictures: list[Picture] = []
        self._documents: dict[str, bytes] = {}
        self._rejected: list[RejectedFile] = []
        self._passed_over = PassedOver()
        self._classes: set[str] = set()

    def run(self, members: Iterable[Member]) -> Upload:
        """Decodes every picture and recognises the layout.

        Raises:
            TooFewImages: fewer than `MIN_IMAGES` can be used; none, where they are added to a dataset.
            UnknownSplit: there is no such split.
            CannotTell: the layout is not clear, or not what the caller says.
            NotAnArchive, BrokenArchive, ArchiveTooLarge: from ``members``; ArchiveTooLarge also if decoding takes more
                time or pixels than one upload may.
            Abandoned: nobody waits any more.
        """
        with self._decoder:
            for member in members:
                if not is_passed_over(member.path):
                    self._read(member)
            recognised = self._recognised()
            chosen = select(recognised.photographs, self.split, self.known_types)
            for path, reason in {**recognised.rejected, **chosen.rejected}.items():
                self._reject(path, reason)
            annotator = Annotator(self.folder, recognised.colours, self._passed_over, self._decoded_mask)
            photographs = [self._photograph(each, annotator) for each in [*chosen.photographs, *chosen.clean]]
            used = self._rescaled(sorted(filter(None, photographs)))
        self._rejected += self._passed_over.listed()
        return self._upload(used, recognised, chosen)

    def _recognised(self) -> Recognised:
        recognised = recognise(self._pictures, self._documents, self.layout, self._passed_over)
        name_types(recognised, self.name, self.layout.class_from)
        if recognised.ignores_white:
            self._blacken_white(mask for each in recognised.photographs for mask in each.masks)
        return recognised

    def _upload(self, used: list[Photograph], recognised: Recognised, chosen: Selection) -> Upload:
        photographs = [each for each in used if each.defect_type]
        alone = self.known_types is None
        if (len(photographs) < MIN_IMAGES) if alone else not used:
            raise TooFewImages(len(photographs), listed(self._rejected), MIN_IMAGES if alone else 1)
        return Upload(
            photographs,
            self._rejected,
            [each for each in used if not each.defect_type],
            recognised.kind,
            chosen.splits,
            chosen.notes + recognised.notes + [WHITE_IGNORED] * recognised.ignores_white,
            self._wide.warnings({each.staged_as for each in used}),
        )

    def _read(self, member: Member) -> None:
        """Decodes a picture, or keeps a document for later. Rejects what is neither."""
        self._check_awaited()
        try:
            if member.data is None:
                raise UnusableImage(member.refusal or "unreadable")
            if is_document(member.path):
                self._keep_document(member.path, member.data)
            else:
                self._add_picture(member.path, member.data)
        except UnusableImage as error:
            self._reject(member.path, str(error))
        self._budget.check()

    def _keep_document(self, path: str, data: bytes) -> None:
        if len(data) + sum(map(len, self._documents.values())) > MAX_LABEL_BYTES:
            raise UnusableImage(f"the label files have more than {MAX_LABEL_BYTES:,} bytes together")
        self._documents[path] = data

    def _add_picture(self, path: str, data: bytes) -> None:
        file = self._decoded(data)
        self._budget.pixels += file.size[0] * file.size[1]
        staged_as = f"new-{len(self._pictures):06d}.png"
        (self.folder / staged_as).write_bytes(file.png)
        if file.range:
            self._wide.add(staged_as, data, file.range)
        self._pictures.append(
            Picture(
                path=path,
                digest=hashlib.sha256(data).hexdigest(),
                staged_as=staged_as,
                mode=file.mode,
                size=file.size,
                pixel_digest=file.pixel_digest,
                look=look_of(file.gray_levels),
                synthetic=says_synthetic(data),
            )
        )

    def _decoded(self, data: bytes, white: int | None = None, min_side: int | None = None) -> DecodedFile:
        try:
            return self._decoder.decode(data, self._budget.seconds_left, white, min_side)
        finally:
            self._budget.seconds = self._decoder.seconds

    def _decoded_mask(self, data: bytes) -> DecodedFile:
        """A mask in a label file, which may be as small as a defect. Raises UnusableImage, ArchiveTooLarge."""
        self._check_awaited()
        file = self._decoded(data, min_side=1)
        self._budget.pixels += file.size[0] * file.size[1]
        self._budget.check()
        return file

    def _rescaled(self, photographs: list[Photograph]) -> list[Photograph]:
        """The photographs, those of more than 8 bits with the white of their set.

        The set is what the dataset's digest covers, so that equal digests mean equal pixels.
        """
        by_name = {each.staged_as: each for each in photographs}
        for wide in self._wide.of_other_white(by_name.keys()):
            each = by_name.pop(wide.staged_as)
            try:
                file = self._decoded(wide.upload.read_bytes(), wide.white)
            except UnusableImage as error:
                self._reject(each.file, str(error))
            else:
                (self.folder / wide.staged_as).write_bytes(file.png)
                by_name[wide.staged_as] = replace(each, mode=file.mode, pixel_digest=file.pixel_digest)
            self._budget.check()
        return sorted(by_name.values())

    def _photograph(self, role: Role, annotator: Annotator) -> Photograph | None:
        """The photograph with its annotations; None where its type cannot be used."""
        self._check_awaited()
        found, picture = annotator.annotate(role), role.picture
        try:
            defect_type = self._counted(valid_type(found.defect_type)) if not role.clean else ""
        except (InvalidType, UnusableImage) as error:
            self._reject(picture.path, str(error))
            return None
        return Photograph(
            defect_type=defect_type,
            digest=picture.digest,
            staged_as=picture.staged_as,
            file=picture.path,
            mode=picture.mode,
            size=picture.size,
            pixel_digest=picture.pixel_digest,
            split=role.split,
            masks=found.masks,
            boxes=found.boxes,
            defects=found.defects,
            synthetic=picture.synthetic,
        )

    def _blacken_white(self, masks: Iterable[Picture]) -> None:
        for mask in masks:
            self._check_awaited()
            path = self.folder / mask.staged_as
            with Image.open(path) as image:
                image.load()
            if image.mode == "L":
                path.write_bytes(encode_png(without_white(image)))

    def _counted(self, defect_type: str) -> str:
        if len(self._classes | {defect_type}) > MAX_CLASSES:
            raise UnusableImage(f"more than {MAX_CLASSES} folders; a folder names a defect type")
        self._classes.add(defect_type)
        return defect_type

    def _check_awaited(self) -> None:
        if self._abandoned():
            raise Abandoned

    def _reject(self, path: str, reason: str) -> None:
        self._rejected.append(RejectedFile(file=shortened(path), reason=reason))


def single_file(name: str, path: Path) -> Member:
    """An image that was uploaded by itself, as if it stood at the top of an archive."""
    shown = printable(PurePosixPath(name.replace("\\", "/")).name) or "unnamed"
    if path.stat().st_size > MAX_FILE_BYTES:
        return Member(shown, refusal=f"larger than {MAX_FILE_BYTES:,} bytes")
    return Member(shown, path.read_bytes())
