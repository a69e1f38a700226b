"""Labelling in a worker: trains the label network of a version, and publishes both as the next version of its model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import save_file

from flawsmith.core.domain.job_kinds.labelling import LabellingJob
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.label_request import STEPS
from flawsmith.core.domain.presets.registry import UnknownPreset
from flawsmith.core.domain.records import Labelling, ModelVersion
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.datasets.annotations import LaterFormat
from flawsmith.core.store.interface import Place, copy_file
from flawsmith.core.store.quality_floors import FILE as IMAGE_SCORES
from flawsmith.core.store.quality_floors import scores_file
from flawsmith.core.store.registry import UnknownModel
from flawsmith.worker.celery import services, threads
from flawsmith.worker.determinism import choose_kernels
from flawsmith.worker.executor import Executor, Result, Segment, UncheckpointedWork, Work
from flawsmith.worker.label_sources import CannotLabel, Learned, from_masks, from_photographs
from flawsmith.worker.published_labels import FILE, feature_maps
from flawsmith.worker.stored_tensors import load_tensors
from flawsmith.worker.version_sampler import unusable_if_unfit

CPU = torch.device("cpu")  # it takes seconds there, and learns the same everywhere
OWN_FIELDS = frozenset({"model", "version", "created_at"})  # of a version, which its labelled twin does not share


class LabellingExecutor(Executor):
    """Opens labellings."""

    lasting = (CannotLabel, LaterFormat, UnknownDataset, UnknownModel, UnknownPreset)

    def open(self, job: Job) -> Work:
        labelling = cast(LabellingJob, job)
        return LabellingWork(labelling, services().registry.resolve(labelling.version))


class LabellingWork(UncheckpointedWork):
    """A labelling under way."""

    job: LabellingJob

    def __init__(self, job: LabellingJob, version: ModelVersion) -> None:
        super().__init__(job)
        self.version = version
        self._step = 0
        self._learned: Learned | None = None

    @property
    def step(self) -> int:
        return self._step

    @contextmanager
    def active(self) -> Iterator[None]:
        choose_kernels(False)
        torch.set_num_threads(threads())
        yield

    def before_finish(self) -> Iterator[None]:
        """Raises UnknownDataset, CannotLabel."""
        self._step, config, version = 0, self.job.config, self.version
        weights = services().registry.weights(version.model, version.version)
        with unusable_if_unfit(version):
            maps = feature_maps(version, load_tensors(weights), CPU)
        if config["source"] == "masks":
            learned = yield from from_masks(version, maps, config["masks"])
        else:
            learned = yield from from_photographs(version, maps, services(), boxes=config["labels"] == "box")
        self._learned, self._step = learned, 1

    def finish(self, segment: Segment) -> Result:
        """Publishes the labelled version. Raises UnknownModel where the version was deleted meanwhile."""
        assert self._learned
        parent, learned, registry = self.version, self._learned, services().registry
        labelling = Labelling(
            job=self.job.id,
            source=self.job.config["source"],
            masks=learned.masks,
            boxes=learned.boxes,
            agreement=learned.agreement,
            ranges=learned.ranges,
        )
        card = {name: value for name, value in dict(parent).items() if name not in OWN_FIELDS}
        card |= {"labels": self.job.config["labels"], "parent": parent.ref, "labelling": labelling}
        with segment.claim.staged() as staged:
            self._copy(registry.folder(parent), staged)
            save_file(learned.network.state_dict(), staged / FILE)
            version = registry.publish(parent.model, staged, **card)
        # What was decided about the parent's images holds for these: they are the same.
        for address, reason in registry.withdrawn(parent).items():
            registry.withdraw(version, address, reason)
        if floor := registry.quality_floor(parent):
            registry.set_quality_floor(version, floor)
        self._step = STEPS
        return Result(f"published {version.ref}, which labels {parent.ref}", {"produced": version.ref, **self.report()})

    def _copy(self, folder: Place, staged: Path) -> None:
        """The parent's files except its card, and the scores that a report added to it."""
        if not folder.is_dir():
            raise UnknownModel(f"{self.version.ref} was deleted while it was labelled")
        for each in folder.iterdir():
            if each.is_file() and each.name not in ("card.json", FILE):
                copy_file(each, staged / each.name)
        if scores := scores_file(folder):
            copy_file(scores, staged / IMAGE_SCORES)
