"""The reference photographs of a model version: how near an image is to them, and the file that holds them.

A version's folder has a small picture of each photograph that the version was trained on. They are published with the
version and never change, but they are removed with the data set that they come from.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from flawsmith.core.store.durable_files import sync_folder
from flawsmith.core.store.interface import Place

FILE = "references.npz"
SIDE = 64  # pixels of a reference picture; the report compares at the same size
NORM = 4000.0  # of a picture's vector. Products of two of them are exact in float32: below 2**24, in any order
LEAST_SCALE = 0.01  # of the median below; up to this distance, two pictures count as the same
UNKNOWN_SCALE = 1.0  # of a version that was trained on a single photograph
MOST_COMPARED = 300  # photographs of a type whose own nearest neighbours are looked for
AT_ONCE = 16  # images
SHIFT = 2  # pixels of a picture by which a copy may be moved, each way; less in pictures of less than 32 pixels
COARSE_SIDE = 16  # pixels, at which the photographs and symmetries are chosen that are compared in full,
CANDIDATES = 24  # so many of them
KEPT = 4  # versions in memory
SYMMETRIES = 8

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Nearest:
    """The photograph that an image is nearest to.

    Attributes:
        file: the name of the photograph as it was uploaded.
        distance: Euclidean, of the two pictures with mean 0 and norm 1, 0 … 2, rounded to 4 places; the minimum over
            flips, quarter turns and shifts of up to `SHIFT` pixels, of what both show.
        percentile: share, in percent, of the photographs of the image's type that are nearer to another photograph
            than the image is to this one.
        similarity: 2 ** -(distance / median), rounded to 4 places. The median is of the distances of the photographs
            of the image's type to their own nearest ones: 1 is identical, .5 as near as photographs are to one another.
    """

    file: str
    distance: float
    percentile: float
    similarity: float


@dataclass(frozen=True)
class Matches:
    """The nearest photographs of B images.

    Attributes:
        which: (B,) int64, the position of the nearest photograph.
        distance: (B,) float64, to it; see `Nearest`.
        second: (B,) float64, to the second nearest photograph; infinite if there is none.
        symmetry: (B,) int64, 0 … 7: the photograph turned so looks like the image, see `turned`.
    """

    which: NDArray[np.int64]
    distance: NDArray[np.float64]
    second: NDArray[np.float64]
    symmetry: NDArray[np.int64]


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
        self._pictures = pictures
        self._coarse = _coarse(pictures)
        self._coarse_norms = _norms(self._coarse)

    @classmethod
    def of(cls, pixels: Pixels, type_index: NDArray[np.int64], classes: list[str], files: list[str]) -> Self:
        """The references for these photographs.

        Args:
            pixels: (N, side, side, C) uint8, all photographs that a version was trained on.
            type_index: (N,) int64, the position of each one's type in ``classes``.
            classes, files: see the attributes.
        """
        found = cls.unscaled(pixels, classes, files)
        for index, name in enumerate(classes):
            found.own_distances[name] = found._own_distances((type_index == index).nonzero()[0])
        return found

    @classmethod
    def unscaled(cls, pixels: Pixels, classes: list[str], files: list[str]) -> Self:
        """The references without the distances among them: for `matches`, not for `nearest`."""
        return cls(classes, files, np.stack([small_picture(each) for each in pixels]), {})

    def nearest(self, images: Sequence[Pixels], defect_types: Sequence[str]) -> list[Nearest]:
        """The nearest photograph, of any type, to each image of (side, side[, C]) pixels and a defect type."""
        found = self.matches(images)
        return [self._nearest(*each) for each in zip(found.which, found.distance, defect_types, strict=True)]

    def matches(self, images: Sequence[Pixels]) -> Matches:
        """The nearest photographs, of any type, to images of (side, side[, C]) pixels."""
        return self._matches(np.stack([small_picture(each) for each in images]), None)

    def matches_among(self, members: NDArray[np.int64]) -> Matches:
        """The nearest other photographs, of any type, to the photographs at these positions."""
        return self._matches(self._pictures[members], members)

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
        return np.sort(self.matches_among(chosen).distance).astype(np.float32)

    def _matches(self, pictures: NDArray[np.int16], own: NDArray[np.int64] | None) -> Matches:
        """``own``: positions of photographs that the pictures are of, which do not count."""
        rows: list[tuple[int, float, float, int]] = []
        for start in range(0, len(pictures), AT_ONCE):
            some = pictures[start : start + AT_ONCE]
            cosines = self._coarse_cosines(some)
            if own is not None:
                cosines[own[start : start + AT_ONCE], :, range(len(some))] = -np.inf
            rows += [self._match(picture, cosines[:, :, number]) for number, picture in enumerate(some)]
        which, distance, second, symmetry = zip(*rows, strict=True)
        return Matches(np.array(which), np.array(distance), np.array(second), np.array(symmetry))

    def _coarse_cosines(self, pictures: NDArray[np.int16]) -> NDArray[np.float64]:
        """Between each photograph and (B, side, side, C) pictures under each symmetry, (N, 8, B)."""
        queries = np.concatenate([_coarse(turned(pictures, each)) for each in range(SYMMETRIES)])
        scales = self._coarse_norms[:, None] * _norms(queries)
        products = self._coarse @ queries.T
        cosines: NDArray[np.float64] = np.divide(products, scales, out=np.zeros_like(products), where=scales > 0)
        return cosines.reshape(-1, SYMMETRIES, len(pictures))

    def _match(self, picture: NDArray[np.int16], coarse: NDArray[np.float64]) -> tuple[int, float, float, int]:
        """Compares the candidates in full: position of the nearest, two distances, and its symmetry.

        A small shift hardly changes a coarse picture, so a copy's photograph is among the candidates.

        Args:
            picture: (side, side, C).
            coarse: (N, 8), cosines of each photograph and the picture under each symmetry; -inf: it does not count.
        """
        flat = coarse.ravel()
        candidates = np.sort(np.argpartition(-flat, min(CANDIDATES, flat.size) - 1)[:CANDIDATES])
        candidates = candidates[flat[candidates] > -np.inf]
        photographs, symmetries = np.divmod(candidates, SYMMETRIES)
        turns = [
            turned(self._pictures[each], _inverse(symmetry))
            for each, symmetry in zip(photographs, symmetries.tolist(), strict=True)
        ]
        distances = _distances(_shifted_cosines(picture, np.stack(turns)))
        nearest = int(distances.argmin())
        others = distances[photographs != photographs[nearest]]
        second = float(others.min()) if len(others) else np.inf
        return int(photographs[nearest]), float(distances[nearest]), second, _inverse(int(symmetries[nearest]))

    def save(self, path: Path) -> None:
        """Writes the file."""
        arrays: dict[str, Any] = {f"own_{index}": self.own_distances[name] for index, name in enumerate(self.classes)}
        arrays |= {"classes": np.array(self.classes), "files": np.array(self.files), "pictures": self._pictures}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Place) -> Self:
        """Raises FileNotFoundError."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            classes = arrays["classes"].tolist()
            own = {name: arrays[f"own_{index}"] for index, name in enumerate(classes)}
            return cls(classes, arrays["files"].tolist(), arrays["pictures"], own)

    @property
    def channels(self) -> int:
        """Of its pictures."""
        return int(self._pictures.shape[3])

    def checked(self) -> Self:
        """Itself. Raises ValueError if its arrays cannot be those of photographs: for a file from outside."""
        pictures = self._pictures
        if pictures.dtype != np.int16 or pictures.ndim != 4 or pictures.shape[3] not in (1, 3):
            raise ValueError("its pictures are none")
        if pictures.shape[1] != pictures.shape[2] or not 0 < pictures.shape[1] <= SIDE:
            raise ValueError(f"its pictures are not squares of at most {SIDE} pixels")
        if len(self.files) != len(self._pictures) or not all(isinstance(each, str) for each in self.files):
            raise ValueError("it must have a name for each picture")
        for each in self.own_distances.values():
            if each.ndim != 1 or each.dtype != np.float32 or not np.isfinite(each).all():
                raise ValueError("its distances are none")
        return self


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
        self._kept: OrderedDict[Place, tuple[tuple[int, int], ReferencePhotographs]] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, folder: Place) -> ReferencePhotographs | None:
        """Those of the version with this folder; None if it has none, or no longer. May be called from threads."""
        path = folder / FILE
        with self._lock:
            try:
                status = path.stat()
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


def delete_references(folder: Place) -> bool:
    """Removes the references of the version with this folder; returns whether there were any."""
    try:
        (folder / FILE).unlink()
    except FileNotFoundError:
        return False
    if isinstance(folder, Path):
        sync_folder(folder)
    return True


def turned(pictures: NDArray[Any], symmetry: int) -> NDArray[Any]:
    """(…, side, side, C) under one of eight flips and quarter turns; 0 changes nothing."""
    flip, quarters = divmod(symmetry, 4)
    return np.rot90(pictures[..., ::-1, :] if flip else pictures, quarters, (-3, -2))


def _inverse(symmetry: int) -> int:
    """The symmetry that undoes this one."""
    flip, quarters = divmod(symmetry, 4)
    return symmetry if flip else -quarters % 4


def _coarse(pictures: NDArray[np.int16]) -> NDArray[np.float64]:
    """(N, side, side, C) pictures as sums over cells, (N, D) float64: integers, so that products are exact."""
    edges = np.arange(min(COARSE_SIDE, pictures.shape[1])) * pictures.shape[1] // min(COARSE_SIDE, pictures.shape[1])
    sums = np.add.reduceat(np.add.reduceat(pictures.astype(np.int64), edges, 1), edges, 2)
    sums = sums[:, 1:] + sums[:, :-1]
    sums = sums[:, :, 1:] + sums[:, :, :-1]
    return sums.reshape(len(pictures), -1).astype(np.float64)


def _shifted_cosines(picture: NDArray[np.int16], photographs: NDArray[np.int16]) -> NDArray[np.float64]:
    """Of the middles of (K, side, side, C) photographs and the best part of a picture of that size, (K,).

    Both parts are brought to mean 0. All sums are of integers, and exact.
    """
    side = picture.shape[0]
    shift = min(SHIFT, side // 16)
    kept = side - 2 * shift
    parts = sliding_window_view(picture, (kept, kept), axis=(0, 1))  # (shifts, shifts, C, kept, kept)
    windows: Vectors = parts.reshape((2 * shift + 1) ** 2, -1).astype(np.float32)
    middles = photographs[:, shift : side - shift, shift : side - shift].transpose(0, 3, 1, 2)
    vectors: Vectors = middles.reshape(len(photographs), -1).astype(np.float32)
    count = vectors.shape[1]
    sums, window_sums = (each.sum(1).astype(np.float64) for each in (vectors, windows))
    powers = _powers(vectors) - sums**2 / count
    window_powers = _powers(windows) - window_sums**2 / count
    products = (vectors @ windows.T).astype(np.float64) - sums[:, None] * window_sums / count
    scales = np.sqrt(np.maximum(0, powers[:, None] * window_powers))
    cosines: NDArray[np.float64] = np.divide(products, scales, out=np.zeros_like(products), where=scales > 1e-6)
    best: NDArray[np.float64] = cosines.max(1)
    return best


def _norms(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Of (N, D) vectors, (N,) float64."""
    norms: NDArray[np.float64] = np.sqrt(_powers(vectors))
    return norms


def _powers(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Squared norms of (N, D) vectors, (N,) float64."""
    powers: NDArray[np.float64] = np.einsum("nd,nd->n", vectors, vectors).astype(np.float64)
    return powers


def _distances(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean, between vectors of norm 1 with these cosines."""
    distances: NDArray[np.float64] = np.sqrt(np.maximum(0.0, 2 - 2 * cosines))
    return distances
