"""A torch data set of photographs and synthetic images, mixed by a ratio. Importing this module imports torch."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import torch
    from PIL import Image as PilImage
    from torch.utils.data import Dataset
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"MixedDataset needs {error.name}: pip install 'flawsmith[images]' torch") from None

from flawsmith.client.clients import Client
from flawsmith.client.generation import in_batches
from flawsmith.client.images import folder_names
from flawsmith.client.records import Version

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
CACHE = Path("flawsmith-cache")


@dataclass(frozen=True)
class Photograph:
    """A real picture."""

    path: Path
    defect_type: str


@dataclass(frozen=True)
class Address:
    """A synthetic image, by its address below the data set's version."""

    defect_type: str
    seed: int


Sample = Photograph | Address


class MixedDataset(Dataset[tuple[Any, int]]):
    """Photographs, and synthetic images of their types at addresses: item i is (picture, index of its type).

    The photographs come first. The same arguments give the same items, whatever the number of workers: a synthetic
    image is the one of its address. It is fetched at its first use and kept in the cache.

    Args:
        photographs: a folder with a folder of pictures for each type, or pairs (file, type).
        model: the version whose images are added; a name or alias is resolved once, here.
        ratio: synthetic images for each photograph of a type; 0: none.
        seed: of the first synthetic image of each type; the next have the next seeds.
        classes: the types, in the order of their indices; None: those of the photographs, sorted.
        size: side of a picture in pixels, of the middle square; None: the version's resolution.
        transform: makes an item of a PIL image (mode L or RGB, uncropped); None: `to_tensor` of the middle square.
        cache: folder of fetched images.
        url, key: of the service, as those of `Client`.

    Raises:
        ValueError: no photographs, a negative ratio, or types that the version does not know.
        FlawsmithError: the service does not know the version, or did not answer.
    """

    def __init__(
        self,
        photographs: str | os.PathLike[str] | Sequence[tuple[str | os.PathLike[str], str]],
        model: str,
        *,
        ratio: float = 1.0,
        seed: int = 0,
        classes: Sequence[str] | None = None,
        size: int | None = None,
        transform: Callable[[PilImage.Image], Any] | None = None,
        cache: str | os.PathLike[str] = CACHE,
        url: str | None = None,
        key: str | None = None,
    ) -> None:
        if ratio < 0:
            raise ValueError(f"ratio is {ratio}; it is 0 or more synthetic images for each photograph")
        real = _photographs(photographs)
        self.classes = list(classes) if classes is not None else sorted({each.defect_type for each in real})
        if strange := sorted({each.defect_type for each in real} - set(self.classes)):
            raise ValueError(f"there are photographs of '{strange[0]}', which is not one of the classes")
        self._url, self._key = url, key
        self._client: tuple[int, Client] | None = None
        self.version: Version = self.client.version(model)
        self._mode, self._size = self.version.mode, size or self.version.resolution
        self.transform = transform
        # By the weights, so that another service's steel@1 is not taken for this one's.
        mark = hashlib.sha256(str(self.version.raw.get("weights_sha256", self.client.url)).encode()).hexdigest()[:12]
        self._cache = Path(cache) / f"{self.version.ref.replace('@', '-')}-{mark}"
        self.samples: list[Sample] = [*real, *self._addresses(real, ratio, seed)]
        self._folders = folder_names(set(self.version.classes))

    @property
    def client(self) -> Client:
        """A client of this process's own: connections do not survive a fork."""
        if self._client is None or self._client[0] != os.getpid():
            self._client = (os.getpid(), Client(self._url, self._key))
        return self._client[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        sample = self.samples[index]
        with PilImage.open(self._file(sample)) as opened:
            picture = opened.convert(self._mode)
        label = self.classes.index(sample.defect_type)
        if self.transform:
            return self.transform(picture), label
        return to_tensor(middle_square(picture, self._size)), label

    def is_synthetic(self, index: int) -> bool:
        return isinstance(self.samples[index], Address)

    def fetch(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Fetches every synthetic image that is not in the cache, many at a time: faster than one by one at first use.

        Args:
            on_progress: is told the images that are there, and all.
        """
        synthetic = [each for each in self.samples if isinstance(each, Address)]
        missing = [each for each in synthetic if not self._cached(each).exists()]
        done = len(synthetic) - len(missing)
        for defect_type in self.classes:
            seeds = sorted(each.seed for each in missing if each.defect_type == defect_type)
            for first, count in _ranges(seeds):
                made = self.client.generate(self.version, count, defect_type=defect_type, seed=first)
                for image in made:
                    _write(self._cached(Address(defect_type, image.seed)), image.png)
                done += count
                if on_progress:
                    on_progress(done, len(synthetic))

    def _file(self, sample: Sample) -> Path:
        if isinstance(sample, Photograph):
            return sample.path
        path = self._cached(sample)
        if not path.exists():
            _write(path, self.client.image(self.version, sample.seed, defect_type=sample.defect_type).png)
        return path

    def _cached(self, address: Address) -> Path:
        return self._cache / self._folders[address.defect_type] / f"{address.seed}.png"

    def _addresses(self, real: Sequence[Photograph], ratio: float, seed: int) -> list[Address]:
        counts = {name: round(ratio * sum(each.defect_type == name for each in real)) for name in self.classes}
        wanted = {name: count for name, count in counts.items() if count}
        if unknown := sorted(wanted.keys() - set(self.version.classes)):
            known = ", ".join(self.version.classes)
            raise ValueError(f"{self.version.ref} makes no images of '{unknown[0]}'; it knows: {known}")
        return [Address(name, seed + number) for name, count in wanted.items() for number in range(count)]


def middle_square(picture: PilImage.Image, size: int) -> PilImage.Image:
    """The largest square in the middle, with this side."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return square if side == size else square.resize((size, size), PilImage.Resampling.LANCZOS)


def to_tensor(picture: PilImage.Image) -> torch.Tensor:
    """float32, (1 or 3, height, width), 0 to 1."""
    pixels = np.array(picture, np.float32) / 255
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())


def _photographs(given: str | os.PathLike[str] | Sequence[tuple[str | os.PathLike[str], str]]) -> list[Photograph]:
    """Raises ValueError."""
    if isinstance(given, str | os.PathLike):
        files = sorted(path for path in Path(given).glob("*/*") if path.suffix.lower() in PICTURES)
        found = [Photograph(path, path.parent.name) for path in files]
    else:
        found = [Photograph(Path(path), defect_type) for path, defect_type in given]
    if not found:
        raise ValueError(f"there are no photographs in {given}; it needs a folder of pictures for each type")
    return found


def _ranges(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """(first, count) of each run of consecutive seeds, in pieces that progress can be told of."""
    runs: list[tuple[int, int]] = []
    for seed in seeds:
        if runs and sum(runs[-1]) == seed:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((seed, 1))
    return [(first + start, count) for first, length in runs for start, count in in_batches(length)]


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: workers of several processes may write the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}.{os.getpid()}.part")
    own.write_bytes(content)
    own.replace(path)
