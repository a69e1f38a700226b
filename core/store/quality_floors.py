"""The quality floors of versions, and the scores that they are set by."""

import io
import threading
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.domain.quality_floor import QualityFloor
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.interface import Place, Stamp, Store
from flawsmith.core.store.version_results import results_folder

FILE = "image-scores.npz"


@dataclass(frozen=True)
class ImageScores:
    """What a version's images are scored with: see `flawsmith.models.quality.image_score`.

    Attributes:
        classes: the defect types.
        network: the weights of the network that scores, float32, in its order.
        scales: (T, 2) float64, the network's answers for each type that score 0 and 1; NaN: the type has no score.
        photographs: for each type, the sorted scores of photographs that the network did not learn from, (N,) float64.
        samples: for each type, the sorted scores of samples, (M,) float64.
    """

    classes: list[str]
    network: list[NDArray[np.float32]]
    scales: NDArray[np.float64]
    photographs: list[NDArray[np.float64]]
    samples: list[NDArray[np.float64]]

    def to_bytes(self) -> bytes:
        """The file's content."""
        arrays: dict[str, Any] = {"classes": np.array(self.classes), "scales": self.scales}
        arrays |= {f"network_{index}": each for index, each in enumerate(self.network)}
        arrays |= {f"photographs_{index}": each for index, each in enumerate(self.photographs)}
        arrays |= {f"samples_{index}": each for index, each in enumerate(self.samples)}
        content = io.BytesIO()
        np.savez(content, **arrays)
        return content.getvalue()

    @classmethod
    def load(cls, path: Place) -> Self:
        """Raises FileNotFoundError."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            classes = arrays["classes"].tolist()
            network = sum(name.startswith("network_") for name in arrays.files)
            return cls(
                classes,
                [arrays[f"network_{index}"] for index in range(network)],
                arrays["scales"],
                [arrays[f"photographs_{index}"] for index in range(len(classes))],
                [arrays[f"samples_{index}"] for index in range(len(classes))],
            )

    def checked(self) -> Self:
        """Itself. Raises ValueError if its arrays cannot be scores: for a file from outside."""
        if self.scales.shape != (len(self.classes), 2) or self.scales.dtype != np.float64:
            raise ValueError("it must have two numbers for each type")
        if any(each.dtype != np.float32 for each in self.network):
            raise ValueError("its network is none")
        for scale, *scores in zip(self.scales, self.photographs, self.samples, strict=True):
            for each in scores:
                sound = each.ndim == 1 and each.dtype == np.float64 and np.isfinite(each).all()
                if not sound or not (len(each) or np.isnan(scale).any()):
                    raise ValueError("its scores are none")
        return self


def scores_file(folder: Place) -> Place | None:
    """The file of a version's `ImageScores`; None if it has none.

    It is published with the version. A version of an earlier release has it among its results, once a report made it.

    Args:
        folder: of the version, as `Registry.folder` gives it.
    """
    places = folder / FILE, made_later(folder)
    return next((each for each in places if each.exists()), None)


def made_later(folder: Place) -> Place:
    """Where a report puts the scores of a version that was published without."""
    return results_folder(folder) / FILE


class QualityFloors:
    """The floors of all versions: ``models/NAME/results/VERSION/quality-floor.json``."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[str, tuple[Stamp, QualityFloor]] = {}  # by path, with the file's stamp
        self._lock = threading.Lock()

    def set(self, version: ModelVersion, floor: QualityFloor | None) -> None:
        """Sets the version's floor; None removes it."""
        path = self.store.path(self._path(version))
        with self.store.locked(path.parent):
            if floor is not None:
                self.store.write_json(path, floor.model_dump(mode="json"))
            elif path.exists():
                path.unlink()

    def of(self, version: ModelVersion) -> QualityFloor | None:
        """The version's floor; None without. Reads the file only if it changed."""
        path = self._path(version)
        with self._lock:
            stamp = self.store.stamp(path)
            if stamp is None:
                return None
            if path not in self._read or self._read[path][0] != stamp:
                floor = QualityFloor.model_validate(self.store.read_json(self.store.path(path)))
                self._read[path] = (stamp, floor)
            return self._read[path][1]

    def _path(self, version: ModelVersion) -> str:
        return f"models/{version.model}/results/{version.version}/quality-floor.json"
