"""The reference photographs of a model version: how near an image is to them, and the file that holds them.

A version's folder has a small picture of each photograph that the version was trained on. They are published with the
version and never change, but they are removed with the data set that they come from.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.store.durable_files import sync_folder

FILE = "references.npz"
SIDE = 64  # pixels of a reference picture; the report compares at the same size
NORM = 4000.0  # of a picture's vector. Products of two of them are exact in float32: below 2**24, in any order
LEAST_SCALE = 0.01  # of the median below; up to this distance, two pictures count as the same
UNKNOWN_SCALE = 1.0  # of a version that was trained on a single photograph
MOST_COMPARED = 300  # photographs of a type whose own nearest neighbours are looked for
AT_ONCE = 16  # images
KEPT = 4  # versions in memory

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Nearest:
    """The photograph that an image is nearest to.

    Attributes:
        file: the name of the photograph as it was uploaded.
        distance: Euclidean, of the two pictures with mean 0 and norm 1, 0 … 2, rounded to 4 places; the minimum over
            the image's flips and quarter turns.
        percentile: share, in percent, of the photographs of the image's type that are nearer to another photograph
            than the image is to this one.
        similarity: 2 ** -(distance / median), rounded to 4 places. The median is of the distances of the photographs
            of the image's type to their own nearest ones: 1 is identical, .5 as near as photographs are to one another.
    """

    file: str
    distance: float
    percentile: float
    similarity: float


class ReferencePhotographs:
    """Small pictures of photographs, and how near these are to one another.

    All figures are the same on every machine: the vectors hold integers, whose products are exact.

    Args:
        classes: the defect types.
        files: the names of the photographs as they were uploaded.
        pictures: (N, SIDE, SIDE, C) int16, see `small_picture`.
        own_distances: for each type the sorted distances of its photographs (of at most `MOST_COMPARED`) to their
            nearest ones among all photographs, (K,) float32.
    """

    def __init__(
        self,
        classes: list[str],
        files: list[str],
        pictures: NDArray[np.int16],
        own_distances: dict[str, NDArray[np.float32]],
    ) -> None:
        self.classes, self.files, self.own_distances = classes, files, own_distances
        self._shape = pictures.shape
        self._vectors: Vectors = pictures.reshape(len(pictures), -1).astype(np.float32)
        self._norms = _norms(self._vectors)

    @classmethod
    def of(cls, pixels: Pixels, type_index: NDArray[np.int64], classes: list[str], files: list[str]) -> Self:
        """The references for these photographs.

        Args:
            pixels: (N, side, side, C) uint8, all photographs that a version was trained on.
            type_index: (N,) int64, the position of each one's type in ``classes``.
            classes, files: see the attributes.
        """
        found = cls(classes, files, np.stack([small_picture(each) for each in pixels]), {})
        for index, name in enumerate(classes):
            found.own_distances[name] = found._own_distances((type_index == index).nonzero()[0])
        return found

    def nearest(self, images: Sequence[Pixels], defect_types: Sequence[str]) -> list[Nearest]:
        """The nearest photograph, of any type, to each image of (side, side[, C]) pixels and a defect type."""
        found: list[Nearest] = []
        for start in range(0, len(images), AT_ONCE):
            pictures = np.stack([small_picture(each) for each in images[start : start + AT_ONCE]])
            cosines = self._cosines(pictures)
            which = cosines.argmax(0)
            distances = _distances(cosines[which, range(len(which))])
            types = defect_types[start : start + AT_ONCE]
            found += [self._nearest(*each) for each in zip(which, distances, types, strict=True)]
        return found

    def _nearest(self, photograph: int, distance: float, defect_type: str) -> Nearest:
        own = self.own_distances[defect_type]
        scale = max(LEAST_SCALE, float(np.median(own))) if len(own) else UNKNOWN_SCALE
        nearer = float(np.searchsorted(own, np.float32(distance))) / max(1, len(own))
        return Nearest(
            self.files[photograph],
            round(float(distance), 4),
            round(100 * nearer, 1),
            round(float(2 ** -(distance / scale)), 4),
        )

    def _own_distances(self, members: NDArray[np.int64]) -> NDArray[np.float32]:
        """Of these photographs, or an even choice of them, to their nearest ones among all; empty if there is one."""
        if len(self.files) < 2 or not len(members):
            return np.empty(0, np.float32)
        chosen = members[np.linspace(0, len(members) - 1, min(len(members), MOST_COMPARED)).astype(np.int64)]
        nearest = []
        for start in range(0, len(chosen), AT_ONCE):
            some = chosen[start : start + AT_ONCE]
            cosines = self._cosines(self._vectors[some].reshape(-1, *self._shape[1:]))
            cosines[some, range(len(some))] = -1.0
            nearest.append(_distances(cosines.max(0)))
        return np.sort(np.concatenate(nearest)).astype(np.float32)

    def _cosines(self, pictures: NDArray[np.int16] | Vectors) -> NDArray[np.float64]:
        """Between each photograph and (B, SIDE, SIDE, C) pictures, (N, B): the highest over a picture's symmetries."""
        both = (pictures, pictures[:, :, ::-1])
        turned = np.stack([np.rot90(each, quarters, (1, 2)) for each in both for quarters in range(4)])
        queries: Vectors = turned.reshape(8 * len(pictures), -1).astype(np.float32)
        products = (self._vectors @ queries.T).reshape(-1, 8, len(pictures)).max(1).astype(np.float64)
        scales = self._norms[:, None] * _norms(queries[: len(pictures)])
        cosines: NDArray[np.float64] = np.divide(products, scales, out=np.zeros_like(products), where=scales > 0)
        return cosines

    def save(self, path: Path) -> None:
        """Writes the file."""
        arrays: dict[str, Any] = {f"own_{index}": self.own_distances[name] for index, name in enumerate(self.classes)}
        pictures = self._vectors.astype(np.int16).reshape(self._shape)
        arrays |= {"classes": np.array(self.classes), "files": np.array(self.files), "pictures": pictures}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises FileNotFoundError."""
        with np.load(path, allow_pickle=False) as arrays:
            classes = arrays["classes"].tolist()
            own = {name: arrays[f"own_{index}"] for index, name in enumerate(classes)}
            return cls(classes, arrays["files"].tolist(), arrays["pictures"], own)


def small_picture(pixels: Pixels) -> NDArray[np.int16]:
    """An image of (side, side[, C]) pixels, averaged over areas, with mean 0 and norm `NORM`: (SIDE, SIDE, C) int16.

    An image of one value everywhere becomes zeros. Images smaller than `SIDE` stay as large as they are.
    """
    side = min(SIDE, pixels.shape[0])
    edges = np.arange(side) * pixels.shape[0] // side
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.int64), edges, 0), edges, 1).reshape(side, side, -1)
    sizes = np.diff(edges, append=pixels.shape[0])
    means = sums / np.outer(sizes, sizes)[:, :, None]
    centred = means - means.mean()
    norm = float(np.sqrt((centred**2).sum()))
    picture: NDArray[np.int16] = np.rint(centred * (NORM / norm) if norm > 0 else centred).astype(np.int16)
    return picture


class ReferenceCache:
    """The references of versions, read from their folders and kept in memory while their files stay."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[tuple[int, int], ReferencePhotographs]] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, folder: Path) -> ReferencePhotographs | None:
        """Those of the version with this folder; None if it has none, or no longer. May be called from threads."""
        path = folder / FILE
        with self._lock:
            try:
                status = os.stat(path)  # noqa: PTH116 (as in `Registry._stamp`)
                stamp = (status.st_ino, status.st_mtime_ns)
                if path not in self._kept or self._kept[path][0] != stamp:
                    self._kept[path] = (stamp, ReferencePhotographs.load(path))
            except FileNotFoundError:
                self._kept.pop(path, None)
                return None
            self._kept.move_to_end(path)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[path][1]


def delete_references(folder: Path) -> bool:
    """Removes the references of the version with this folder; returns whether there were any."""
    try:
        (folder / FILE).unlink()
    except FileNotFoundError:
        return False
    sync_folder(folder)
    return True


def _norms(vectors: Vectors) -> NDArray[np.float64]:
    """Of (N, D) vectors, (N,) float64."""
    norms: NDArray[np.float64] = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    return norms


def _distances(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean, between vectors of norm 1 with these cosines."""
    distances: NDArray[np.float64] = np.sqrt(np.maximum(0.0, 2 - 2 * cosines))
    return distances
