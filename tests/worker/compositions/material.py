"""Small photographs for compositions: grain with dark discs and bars, their masks, and clean ones; jobs with them."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tests.conftest import zipped

from flawsmith.core.domain.job_kinds.composition import KIND, CompositionJob
from flawsmith.core.domain.jobs import Progress
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.registry import Registry

SIDE = 96
DARK = 60  # gray levels below the surface
CONFIG: dict[str, Any] = {
    "count": 6,
    "per_image": [1, 3],
    "types": ["bars", "pits"],
    "region": None,
    "source": "real",
    "blend": "auto",
    "split": None,
    "seed": 0,
    "priority": 0,
}


def surface(seed: int, side: int = SIDE) -> NDArray[np.uint8]:
    """(side, side), a gray surface with fine grain."""
    return np.random.default_rng(seed).normal(150, 3, (side, side)).clip(0, 255).astype(np.uint8)


def marks(seed: int, defect_type: str) -> NDArray[np.bool_]:
    """The mask of a photograph's only defect."""
    random = np.random.default_rng(1000 + seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    row, column = random.integers(30, 60, 2)
    if defect_type == "pits":
        return np.hypot(rows - row, columns - column) < random.uniform(3, 6)
    return (abs(rows - row) < 2) & (abs(columns - column) < random.integers(8, 14))


def png(pixels: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def defect_files(each: int = 10) -> dict[str, bytes]:
    """Photographs with one dark defect, and their masks: `bars` and `pits`."""
    files = {}
    for defect_type in ("bars", "pits"):
        for number in range(each):
            seed = number + (100 if defect_type == "pits" else 0)
            mask, pixels = marks(seed, defect_type), surface(seed)
            pixels[mask] -= DARK
            files[f"images/{defect_type}/{number:02d}.png"] = png(pixels)
            files[f"masks/{defect_type}/{number:02d}.png"] = png(mask.astype(np.uint8) * 255)
    return files


def clean_files(count: int = 3, side: int = 128) -> dict[str, bytes]:
    return {f"good/{number}.png": png(surface(500 + number, side)) for number in range(count)}


class Workshop:
    """An artifact store with a dataset of defects and one of clean photographs."""

    def __init__(self, root: Path) -> None:
        self.store = ArtifactStore(root / "artifacts")
        self.datasets = Datasets(self.store, Settings(data_dir=root))
        self.services = cast(
            Services, SimpleNamespace(datasets=self.datasets, store=self.store, registry=Registry(self.store))
        )
        self.defects = self.add(root, "steel", defect_files())
        self.background = self.add(root, "parts", clean_files())

    def add(self, root: Path, name: str, files: dict[str, bytes]) -> str:
        path = root / f"{name}.zip"
        path.write_bytes(zipped(files))
        return self.datasets.add_archive(name, path)[0].id

    def job(self, **config: Any) -> CompositionJob:
        config = CONFIG | config
        progress = Progress(total_steps=config["count"])
        made = KIND.new_job(config=config, progress=progress, defects=self.defects, background=self.background)
        return cast(CompositionJob, made)

    def generated_job(self, version: ModelVersion, **config: Any) -> CompositionJob:
        """A job with defects of the version's images."""
        given = {"types": version.classes, "source": "generated", "scale": version.config["scale"], "floor": None}
        config = CONFIG | given | config
        progress = Progress(total_steps=config["count"])
        made = KIND.new_job(config=config, progress=progress, version=version.ref, background=self.background)
        return cast(CompositionJob, made)
