"""A source of labelled images for tests: discs and bars on grain, with exact masks; and exports of it."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from tests.published_versions import publish

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.digital_source_type import GENERATED
from flawsmith.core.domain.export_layouts import ExportLayout, LabelKind
from flawsmith.core.domain.job_kinds.export import KIND, ExportJob
from flawsmith.core.domain.jobs import Progress
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import Registry
from flawsmith.worker.engine import encode
from flawsmith.worker.executor import Result, Segment
from flawsmith.worker.export import ExportWork
from flawsmith.worker.exports.parts import Parts
from flawsmith.worker.exports.records import ExportRecord, LabelledDefect, RecordSource

CLASSES = ["pits", "cuts: deep"]
WIDTH, HEIGHT = 48, 32
IN_A_PASS = 5


class LabelledSource(RecordSource):
    """``count`` images of the types in turn, each with one to three defects that do not touch the border.

    Args:
        registry: where it publishes the version that the images are said to be of.
        count: of the images.
        state: where to continue.
        labels: masks, or the boxes around them.
    """

    def __init__(self, registry: Registry, count: int, state: dict[str, Any], labels: LabelKind) -> None:
        self.version = publish(registry, "job-1", "steel", classes=CLASSES)
        self.title, self.classes, self.source_type = "steel@1", CLASSES, GENERATED
        self.count, self.made, self.left_out = count, state.get("made", 0), Counter[str]()
        self.labels = labels

    @property
    def over(self) -> bool:
        return bool(self.made == self.count)

    def state(self) -> dict[str, Any]:
        return {"made": self.made}

    def next(self) -> list[ExportRecord]:
        numbers = range(self.made, min(self.count, self.made + IN_A_PASS))
        self.made = numbers.stop
        return list(map(self.record, numbers))

    def record(self, seed: int) -> ExportRecord:
        """The image of a seed."""
        defect_type = CLASSES[seed % 2]
        masks = drawn_masks(seed)
        random = np.random.default_rng(seed)
        picture = random.integers(100, 140, (HEIGHT, WIDTH, 1), np.uint8)
        picture[np.any(masks, 0)] = 20
        defects = [LabelledDefect.of_mask(defect_type, mask) for mask in masks]
        if self.labels is LabelKind.BOXES:
            defects = [LabelledDefect(each.defect_type, each.box) for each in defects]
        address = Address(defect_type, seed)
        return ExportRecord(
            name=str(seed),
            defect_type=defect_type,
            size=(WIDTH, HEIGHT),
            png=encode(self.version, address, picture),
            address={"model": "steel@1", **address.to_json()},
            held=[("steel@1", defect_type, seed)],
            defects=defects,
        )


def drawn_masks(seed: int) -> list[NDArray[np.bool_]]:
    """The (H, W) masks of an image's defects: a disc, sometimes one with a hole, and a thin bar, apart."""
    random = np.random.default_rng(1000 + seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - random.uniform(9, 20), columns - random.uniform(9, 14))
    masks = [(distance < random.uniform(3, 7))]
    if seed % 3 == 0:
        masks[0] &= distance > 1.5
    if seed % 4:
        left, top, length = random.integers(24, 30), random.integers(2, 25), random.integers(5, 15)
        masks.append((rows >= top) & (rows < top + 1 + seed % 2) & (columns >= left) & (columns < left + length))
    return masks


class Site:
    """An artifact store and one job in it that exports a `LabelledSource`."""

    def __init__(self, root: Path, layout: ExportLayout, count: int, labels: LabelKind, **config: Any) -> None:
        self.store, self.count, self.labels = ArtifactStore(root / "artifacts"), count, labels
        self.registry = Registry(self.store)
        asked: dict[str, Any] = {"split": None, "max_similarity": None, "floor": None, "seed": 0, "counts": {}}
        made = KIND.new_job(
            config=asked | config, progress=Progress(total_steps=count), version="steel@1", layout=layout
        )
        self.job = cast(ExportJob, made)
        self.folder = JobFolder(self.store, self.job.id)
        self.parts = Parts(self.store, self.folder, "identity")

    @property
    def archive(self) -> Path:
        return self.folder.path / "archive.zip"

    def segment(self) -> Segment:
        """A segment of a worker that has just taken over the job."""
        return Segment(
            cast(Any, SimpleNamespace(job_id=self.job.id)), self.store.claim(self.folder.claims), cast(Any, None)
        )

    def open(self) -> ExportWork:
        """The job at its newest part."""
        step, state = self.parts.newest()
        return ExportWork(self.job, self.parts, step, LabelledSource(self.registry, self.count, state, self.labels))

    def run(self) -> Result:
        """Runs the job from its newest part to the end."""
        work, segment = self.open(), self.segment()
        while not work.over:
            work.advance(segment)
        work.save(segment)
        for _ in work.before_finish():
            pass
        return work.finish(segment)
