"""Prints how fast composition jobs are: compositions of 1,024 px with masks, parts and archive, as a worker makes them.

    python -m benchmarks.composition_jobs [--version FOLDER] [--count 60]

Real defects are cut out of drawn photographs with masks. With the folder of a published version that has labels
(`artifacts/models/NAME/versions/N`), its generated ones too, of one block of seeds and of two. The clean photographs
are drawn. A job works on one core; times are its processor time, which other work on the machine hardly changes.
"""

import argparse
import io
import resource
import shutil
import tempfile
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.composition_sets import SIDE, drawn_host
from flawsmith.core.domain.job_kinds.composition import KIND, CompositionJob
from flawsmith.core.domain.jobs import Progress
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import Registry
from flawsmith.models.drawn_surfaces import FLAWS, picture
from flawsmith.worker.composition import CompositionWork
from flawsmith.worker.compositions.defects import BLOCK
from flawsmith.worker.compositions.source import CompositionSource
from flawsmith.worker.executor import Segment
from flawsmith.worker.exports.parts import Parts

HOSTS, PHOTOGRAPHS = 8, 18
FIRST_HOST, FIRST_PHOTOGRAPH = 20_000, 10_000  # seeds
CPU = torch.device("cpu")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--version", type=Path)
    options.add_argument("--count", type=int, default=60)
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        site = _Site(Path(folder))
        site.measure("real", 0, given.count, **site.real())
        if given.version:
            generated = site.generated(given.version)
            site.measure("generated, one block", 0, given.count, **generated)
            site.measure("generated, two blocks", BLOCK - given.count // 2, given.count, **generated)


class _Site:
    """An artifact store with drawn photographs."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, ArtifactStore(root / "artifacts")
        self.datasets, self.registry = Datasets(self.store, Settings(data_dir=root)), Registry(self.store)
        known = SimpleNamespace(store=self.store, datasets=self.datasets, registry=self.registry)
        self.services = cast(Services, known)
        clean = {f"good/{each}.png": drawn_host(FIRST_HOST + each).pixels for each in range(HOSTS)}
        self.background = self._dataset("clean", clean)

    def real(self) -> dict[str, Any]:
        """The fields of a job with drawn defects."""
        files: dict[str, NDArray[np.uint8]] = {}
        for seed in range(FIRST_PHOTOGRAPH, FIRST_PHOTOGRAPH + PHOTOGRAPHS):
            flaw = list(FLAWS)[seed % len(FLAWS)]
            drawn = picture(seed, SIDE, 1, [flaw])
            files[f"images/{flaw}/{seed}.png"] = drawn.pixels[0]
            files[f"masks/{flaw}/{seed}.png"] = drawn.mask.astype(np.uint8) * 255
        defects = self._dataset("defects", files)
        types = sorted({name.split("/")[1] for name in files})
        return {"defects": defects, "config": {"source": "real", "types": types}}

    def generated(self, folder: Path) -> dict[str, Any]:
        """The fields of a job with the defects of a version."""
        version = ModelVersion.model_validate_json((folder / "card.json").read_bytes())
        shutil.copytree(folder, self.registry.folder(version))
        scale = version.config.get("scale") or 1.0
        config = {"source": "generated", "types": version.classes, "scale": scale, "floor": None}
        return {"version": version.ref, "config": config}

    def measure(self, name: str, seed: int, count: int, *, config: dict[str, Any], **fields: Any) -> None:
        """Runs a job, and prints what it took."""
        asked = {"count": count, "per_image": [1, 3], "region": None, "blend": "auto", "split": None, "priority": 0}
        progress = Progress(total_steps=count)
        whole = {**asked, "seed": seed, **config}
        job = cast(CompositionJob, KIND.new_job(config=whole, progress=progress, background=self.background, **fields))
        folder = JobFolder(self.store, job.id)
        begun, clock, first = time.process_time(), time.monotonic(), 0.0
        source = CompositionSource(job, self.services, CPU, {})
        work = CompositionWork(job, Parts(self.store, folder, "of a benchmark"), 0, source)
        held = Segment(cast(Any, SimpleNamespace(job_id=job.id)), self.store.claim(folder.claims), cast(Any, None))
        while not work.over:
            work.advance(held)
            first = first or (time.process_time() - begun if work.step else 0.0)
        work.save(held)
        for _ in work.before_finish():
            pass
        work.finish(held)
        busy, seconds = time.process_time() - begun, time.monotonic() - clock
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{name}: {count} images, {1000 * busy / count:.0f} ms of a core each, {60 * count / busy:.0f} a minute "
            f"({60 * count / seconds:.0f} by the clock); {first:.1f} s until the first; peak memory {peak} MiB",
            flush=True,
        )

    def _dataset(self, name: str, files: dict[str, NDArray[np.uint8]]) -> str:
        path = self.root / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for place, pixels in files.items():
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG")
                archive.writestr(place, buffer.getvalue())
        return self.datasets.add_archive(name, path)[0].id


if __name__ == "__main__":
    main()
