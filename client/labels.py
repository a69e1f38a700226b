"""Calls about labels: versions are taught where the defect is in their images."""

import base64
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from flawsmith.client.commands import Flow, work
from flawsmith.client.images import MASK_SUFFIX, Image, array_png, folder_names
from flawsmith.client.models import version_path
from flawsmith.client.operations import Calls, given, operation, record
from flawsmith.client.records import Job, Version

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image as PilImage

Mask: TypeAlias = "bytes | str | PathLike[str] | PilImage.Image | NDArray[Any]"
"""White, or True, where the defect is: a PNG, its file, a picture, or an array (height, width) of bool or uint8."""

Labelled = Image | tuple[str, int] | int
"""An image of the version: itself, its (type, seed), or its seed alone, which names one of the types in turn."""

_MASK_FILE = re.compile(rf"(\d+){MASK_SUFFIX}\.png")


class LabelCalls(Calls):
    """Masks and boxes of generated images."""

    @operation
    def label(
        self,
        reference: str | Version,
        masks: "str | PathLike[str] | Iterable[tuple[Labelled, Mask]] | None" = None,
        *,
        labels: Literal["mask", "box"] | None = None,
        priority: int | None = None,
        webhook: Mapping[str, Any] | None = None,
        note: str | None = None,
        tags: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Job]:
        """Submits a labelling: a job that publishes the next version, with the same pixels and labels on request.

        Args:
            masks: pairs of an image of the version and its mask; or a folder with ``TYPE/SEED_mask.png``, as
                `Images.save` names them; None: the annotations of the photographs that the version was trained on.
            labels: None: masks where there are some to learn from, else boxes.

        Raises:
            ValueError: a folder without masks, or with ones of types that the version does not know.
            OSError: a file cannot be read.
            Invalid: a mask is empty, or not of the image's size.
        """
        place = yield from version_path(self, reference)
        sent: list[dict[str, Any]] | None = None
        if isinstance(masks, str | PathLike):
            classes = record(Version.read, (yield from self._get(place))).classes
            folder = Path(masks)
            sent = yield from work(lambda: [_sent(*each) for each in masks_below(folder, classes)])
        elif masks is not None:
            sent = yield from work(lambda: [_sent(*each) for each in masks])
        body = given(masks=sent, labels=labels, priority=priority, webhook=webhook, note=note, tags=tags and list(tags))
        return record(Job.read, (yield from self._change("POST", f"{place}/labels", body, idempotency_key)))


def masks_below(folder: Path, classes: Iterable[str]) -> "Iterator[tuple[tuple[str, int], Path]]":
    """(Type, seed) and file of each mask in the folder. Raises ValueError."""
    types = {name: defect_type for defect_type, name in folder_names(set(classes)).items()}
    found = [(path, match) for path in sorted(folder.glob("*/*")) if (match := _MASK_FILE.fullmatch(path.name))]
    if not found:
        raise ValueError(f"there is no mask in {folder}; paint TYPE/SEED{MASK_SUFFIX}.png, white where the defect is")
    for path, match in found:
        if path.parent.name not in types:
            raise ValueError(f"{path}: the version has no type '{path.parent.name}'; its folders: {', '.join(types)}")
        yield (types[path.parent.name], int(match[1])), path


def _sent(image: Labelled, mask: Any) -> dict[str, Any]:
    """A mask as the service takes it."""
    address: dict[str, Any]
    if isinstance(image, Image):
        address = {"seed": image.seed, "defect_type": image.defect_type}
    elif isinstance(image, tuple):
        address = {"seed": int(image[1]), "defect_type": image[0]}
    else:
        address = {"seed": int(image)}
    return {**address, "mask": base64.b64encode(_png(mask)).decode()}


def _png(mask: Any) -> bytes:
    if isinstance(mask, bytes):
        return mask
    if isinstance(mask, str | PathLike):
        return Path(mask).read_bytes()
    if hasattr(mask, "save"):
        buffer = io.BytesIO()
        mask.save(buffer, "PNG")
        return buffer.getvalue()
    return array_png(mask)
