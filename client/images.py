"""Synthetic images as they arrive: bytes, and PIL images or NumPy arrays where these libraries are installed."""

import io
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image as PilImage

MASK_SUFFIX = "_mask"  # of the file of an image's mask

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first column and row outside."""


@dataclass(frozen=True)
class Image:
    """A synthetic image.

    Attributes:
        png: the file as the service sent it; it says that it is synthetic, and its address.
        model: the version, such as ``steel@2``.
        defect_type: of the defect.
        seed: with version and type (and attributes, if any) its address: the same bytes for ever.
        url: the address as a path of the service.
        boxes: around each part of the defect, where labels were asked for.
        mask_png: 255 where the defect is, where masks were asked for.
        nearest: the nearest training photograph, where it was asked for: {file, distance, percentile}.
        raw: whatever the service said of the image.
    """

    png: bytes = field(repr=False)
    model: str
    defect_type: str
    seed: int
    url: str
    boxes: list[Box] | None = None
    mask_png: bytes | None = field(default=None, repr=False)
    nearest: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def pil(self) -> "PilImage.Image":
        """The picture, of mode L or RGB. Needs Pillow."""
        return _opened(self.png)

    def numpy(self) -> "NDArray[np.uint8]":
        """uint8, (height, width) or (height, width, 3). Needs NumPy and Pillow."""
        return _array(self.png)

    def mask(self) -> "PilImage.Image":
        """The mask, of mode L. Raises ValueError where the image came without one."""
        return _opened(self._mask)

    def mask_numpy(self) -> "NDArray[np.uint8]":
        """The mask: uint8, (height, width), 0 or 255. Raises ValueError where the image came without one."""
        return _array(self._mask)

    @property
    def _mask(self) -> bytes:
        if self.mask_png is None:
            raise ValueError("the image came without a mask; ask for one with labels='mask'")
        return self.mask_png


class Images(Sequence[Image]):
    """The images of one call of `generate`, all of the same version ``model``."""

    def __init__(self, model: str, images: Sequence[Image]) -> None:
        self.model, self._images = model, tuple(images)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> "Images": ...
    def __getitem__(self, index: int | slice) -> "Image | Images":
        if isinstance(index, slice):
            return Images(self.model, self._images[index])
        return self._images[index]

    def __len__(self) -> int:
        return len(self._images)

    def __repr__(self) -> str:
        return f"<{len(self)} images of {self.model}>"

    def pil(self) -> "list[PilImage.Image]":
        """The pictures. Needs Pillow."""
        return [each.pil() for each in self]

    def numpy(self) -> "NDArray[np.uint8]":
        """uint8, (count, height, width) or (count, height, width, 3). Needs NumPy and Pillow."""
        stacked: NDArray[np.uint8] = _numpy().stack([each.numpy() for each in self])
        return stacked

    def save(self, folder: str | Path) -> list[Path]:
        """Writes ``TYPE/SEED.png`` below the folder, masks as ``TYPE/SEED_mask.png``, and all addresses into
        ``manifest.json``, beside those of images that are there already; returns the images' files.
        """
        names = folder_names({each.defect_type for each in self})
        written, entries = [], []
        for each in self:
            path = Path(folder) / names[each.defect_type] / f"{each.seed}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(each.png)
            if each.mask_png is not None:
                path.with_name(f"{each.seed}{MASK_SUFFIX}.png").write_bytes(each.mask_png)
            written.append(path)
            entries.append({"file": path.relative_to(folder).as_posix(), "model": self.model, **each.raw})
        _add_to_manifest(Path(folder) / "manifest.json", self.model, entries)
        return written


def _add_to_manifest(path: Path, model: str, entries: list[dict[str, Any]]) -> None:
    try:
        earlier = json.loads(path.read_text())["images"]
    except (OSError, ValueError, KeyError, TypeError):
        earlier = []
    files = {each["file"] for each in entries}
    kept = [each for each in earlier if each["file"] not in files]
    path.write_text(json.dumps({"model": model, "synthetic": True, "images": kept + entries}, indent=1))


def folder_names(defect_types: set[str]) -> dict[str, str]:
    """A folder for each type that every system can create, none twice."""
    names: dict[str, str] = {}
    for each in sorted(defect_types):
        name = re.sub(r"[^\w.-]+", "_", each).strip(".") or "_"
        while _taken(name, names.values()):
            name += "_"
        names[each] = name
    return names


def _taken(name: str, names: Collection[str]) -> bool:
    return name.lower() in {each.lower() for each in names}


def array_png(mask: Any) -> bytes:
    """The PNG of a mask, an array (height, width) of bool or uint8. Needs NumPy and Pillow. Raises ValueError."""
    numpy, buffer = _numpy(), io.BytesIO()
    pixels = numpy.asarray(mask)
    if pixels.ndim != 2 or pixels.dtype not in (bool, numpy.uint8):
        raise ValueError(f"a mask is an array (height, width) of bool or uint8, not {pixels.dtype} {pixels.shape}")
    shown = pixels * numpy.uint8(255) if pixels.dtype == bool else pixels
    _pillow().fromarray(shown).save(buffer, "PNG")
    return buffer.getvalue()


def _opened(png: bytes) -> "PilImage.Image":
    picture: PilImage.Image = _pillow().open(io.BytesIO(png))
    picture.load()
    return picture


def _pillow() -> Any:
    try:
        from PIL import Image as PilImage
    except ModuleNotFoundError:
        raise ModuleNotFoundError("this needs Pillow: pip install 'flawsmith[images]'") from None
    return PilImage


def _numpy() -> Any:
    try:
        import numpy as np
    except ModuleNotFoundError:
        raise ModuleNotFoundError("this needs NumPy: pip install 'flawsmith[images]'") from None
    return np


def _array(png: bytes) -> "NDArray[np.uint8]":
    numpy = _numpy()
    pixels: NDArray[np.uint8] = numpy.asarray(_opened(png), numpy.uint8)
    return pixels
