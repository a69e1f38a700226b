"""What tells copies and near-duplicates of photographs, without reading all their pixels again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flawsmith.core.store.images import Abandoned, pixel_digest
from flawsmith.core.store.interface import Place

SIDE = 32  # pixels at which photographs are compared
FILE = "fingerprints-{}.npz"  # in the folder of a dataset, of its photographs and of its clean ones

_DUPLICATE_RATIO = 0.5  # of the distance to a near-duplicate to that of the nearest photograph that is none
_DUPLICATE_DISTANCE = 0.5  # between near-duplicates at most
_MOST_COPIES = 7  # near-duplicates of one photograph
_MOST_TURNED = 2000  # photographs of a type, up to which flips and quarter turns are compared
_AT_ONCE = 128
MOST_COMPARED = 20_000  # photographs of a type, so that the comparison takes seconds and 300 MB at most


@dataclass(frozen=True)
class Fingerprints:
    """Of photographs in their order.

    Attributes:
        digests: of the pixels, see `pixel_digest`.
        thumbnails: (N, SIDE, SIDE) uint8, gray.
    """

    digests: list[str]
    thumbnails: NDArray[np.uint8]

    @classmethod
    def of(cls, paths: Sequence[Place], abandoned: Callable[[], bool]) -> "Fingerprints":
        """Of stored pictures. Raises Abandoned, and FileNotFoundError where one was deleted."""
        digests, thumbnails = [], np.zeros((len(paths), SIDE, SIDE), np.uint8)
        for position, path in enumerate(paths):
            if abandoned():
                raise Abandoned
            with path.open("rb") as file, Image.open(file) as image:
                image.load()
            digests.append(pixel_digest(image))
            thumbnails[position] = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
        return cls(digests, thumbnails)

    @classmethod
    def load(cls, path: Place) -> "Fingerprints | None":
        """None where the dataset has none: only those that continue another one do."""
        if not path.exists():
            return None
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return cls([str(each) for each in arrays["digests"]], arrays["thumbnails"])

    def save(self, path: Path) -> None:
        np.savez(path, digests=np.array(self.digests, dtype="U64"), thumbnails=self.thumbnails)

    def chosen(self, positions: Sequence[int]) -> "Fingerprints":
        """Those at these positions."""
        return Fingerprints([self.digests[each] for each in positions], self.thumbnails[list(positions)])

    def joined(self, others: "Fingerprints") -> "Fingerprints":
        """These, then the others."""
        thumbnails = np.concatenate([self.thumbnails, others.thumbnails])
        return Fingerprints(self.digests + others.digests, thumbnails)


def near_duplicates(
    known: NDArray[np.uint8], new: NDArray[np.uint8], abandoned: Callable[[], bool] = lambda: False
) -> dict[int, int]:
    """The new photographs that are near-duplicates of known ones of their type, each with the nearest of these.

    Two photographs are near-duplicates where each is far nearer to the other than to photographs outside its few
    nearest ones, as in `near_duplicate_groups` of the training, which compares squares rather than photographs.

    Args:
        known, new: (N, SIDE, SIDE) and (M, SIDE, SIDE) uint8, all of one type; no pair is found among more than
            `MOST_COMPARED`.
        abandoned: whether nobody waits any more.

    Raises:
        Abandoned: nobody does.
    """
    images = np.concatenate([known, new])
    if not 3 <= len(images) <= MOST_COMPARED or not len(known):
        return {}
    copies = _copies(images, range(len(known), len(images)), abandoned)
    asked = sorted({other for others in copies.values() for other in others if other < len(known)})
    copies |= _copies(images, asked, abandoned)
    found = {}
    for position in range(len(known), len(images)):
        mutual = [other for other in copies[position] if other < len(known) and position in copies[other]]
        if mutual:
            found[position - len(known)] = mutual[0]
    return found


def _copies(images: NDArray[np.uint8], rows: Sequence[int], abandoned: Callable[[], bool]) -> dict[int, list[int]]:
    """Of some of the images, which others are far nearer than the rest; the nearest first."""
    most = min(_MOST_COPIES, len(images) - 2)
    vectors, found = _normalised(images), {}
    turned = _turned(images) if len(images) <= _MOST_TURNED else [vectors]
    for start in range(0, len(rows), _AT_ONCE):
        if abandoned():
            raise Abandoned
        some = list(rows[start : start + _AT_ONCE])
        distances = np.sqrt(np.maximum(0, 2 - 2 * np.max([vectors[some] @ each.T for each in turned], axis=0)))
        distances[np.arange(len(some)), some] = np.inf
        order = np.argpartition(distances, most, axis=1)[:, : most + 1]
        order = np.take_along_axis(order, np.take_along_axis(distances, order, axis=1).argsort(axis=1), axis=1)
        nearest = np.take_along_axis(distances, order, axis=1)
        near = (nearest[:, :-1] < _DUPLICATE_RATIO * nearest[:, 1:]) & (nearest[:, :-1] < _DUPLICATE_DISTANCE)
        for row, flags, which in zip(some, near, order, strict=True):
            count = int(np.flatnonzero(flags)[-1]) + 1 if flags.any() else 0
            found[row] = which[:count].tolist()
    return found


def _turned(images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """The vectors of all flips and quarter turns."""
    flipped = (images, images[:, :, ::-1])
    return [_normalised(np.rot90(each, quarters, (1, 2))) for each in flipped for quarters in range(4)]


def _normalised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, SIDE * SIDE) float32 vectors of mean 0 and norm 1."""
    values = images.reshape(len(images), -1).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit: NDArray[np.float32] = values / np.maximum(lengths, 1e-12)
    return unit
