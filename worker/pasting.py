"""A training job of a preset without networks: cuts defects out of the photographs, and publishes a version of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import Attribute
from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.digital_source_type import COMPOSED
from flawsmith.core.domain.image_modes import mode_of
from flawsmith.core.domain.job_kinds.training import StopReason, TrainingJob
from flawsmith.core.domain.records import Dataset, Health, HealthState
from flawsmith.core.store.datasets.dataset_folder import StoredPhotograph
from flawsmith.core.store.images import encode_png, grid, to_image
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.models.compositions import Patch, UnplaceableError
from flawsmith.models.compositions.pasted import PasteMaterial
from flawsmith.models.quality.steps import Steps
from flawsmith.models.training.fixed_samples import PREVIEW_COLUMNS
from flawsmith.worker.celery import services
from flawsmith.worker.compositions.real_defects import RealDefects, patches_of_annotations
from flawsmith.worker.executor import Result, Segment, UncheckpointedWork
from flawsmith.worker.pasted_images import PastedImages, save_material
from flawsmith.worker.report import enqueue_report
from flawsmith.worker.verdict import VersionJudgement, health_with, verdict_in_steps
from flawsmith.worker.version_attributes import version_attributes
from flawsmith.worker.version_findings import save_findings

PER_TYPE = 256  # defects that a version has
MOST_PATCH_BYTES = MOST_HOST_BYTES = 64 * 2**20  # of all of them, and of the squares that they are composed on


class CannotPaste(Exception):
    """No images can be made of the photographs; the message says what would be right."""


@dataclass(frozen=True)
class _Prepared:
    """All that is published.

    Attributes:
        dataset: of the photographs.
        images: what makes the images.
        attributes: see `version_attributes`.
        judgement: of the images.
        borrowing: the types without a clean place in their own photographs.
    """

    dataset: Dataset
    images: PastedImages
    attributes: dict[str, Attribute]
    judgement: VersionJudgement
    borrowing: list[str]


class PasteWork(UncheckpointedWork):
    """The job under way. It takes seconds, and its verdict longer, so that a worker that stopped leaves all of it."""

    job: TrainingJob

    def __init__(self, job: TrainingJob) -> None:
        super().__init__(job)
        self._step = 0
        self._prepared: _Prepared | None = None

    @property
    def step(self) -> int:
        return self._step

    def before_finish(self) -> Iterator[None]:
        """Raises UnknownDataset, CannotPaste."""
        self._step, config = 0, self.job.config
        dataset = services().datasets.get(self.job.dataset)
        hosts, hosts_of, borrowing = self._hosts(dataset)
        yield
        patches = yield from self._patches(dataset)
        images = PastedImages(PasteMaterial(hosts, hosts_of, patches), config)
        self._step = self.job.progress.total_steps
        try:
            attributes = yield from version_attributes(images, self.job, dataset.digest, services())
        except UnplaceableError as error:
            raise CannotPaste(str(error)) from error
        judgement = yield from verdict_in_steps(
            images, preset=self.job.preset, config=config, dataset_digest=dataset.digest, services=services()
        )
        self._prepared = _Prepared(dataset, images, attributes, judgement, borrowing)

    def finish(self, segment: Segment) -> Result:
        prepared, config = self._prepared, self.job.config
        assert prepared
        material, verdict = prepared.images.material, prepared.judgement.judged.verdict
        health = health_with(_health(self.job.health, prepared.borrowing), verdict)
        self._show_samples(segment, prepared.images)
        with segment.claim.staged() as staged:
            save_findings(
                prepared.judgement,
                staged,
                preset=self.job.preset,
                config=config,
                dataset_digest=prepared.dataset.digest,
                services=services(),
            )
            version = services().registry.publish(
                self.job.model,
                staged,
                preset=self.job.preset,
                classes=config["classes"],
                resolution=config["resolution"],
                mode=mode_of(config["channels"]),
                config=config,
                weights_sha256=save_material(material, staged),
                training_job=self.job.id,
                dataset_digest=prepared.dataset.digest,
                health=health,
                verdict=verdict,
                analysis={
                    "defects": {name: len(each) for name, each in material.patches.items()},
                    "clean_squares": {name: len(each) for name, each in material.hosts_of.items()},
                },
                attributes=prepared.attributes,
                digital_source_type=COMPOSED,
                labels="mask",
            )
        enqueue_report(version, self.job.priority)
        fields = {"produced": version.ref, "verdict": verdict, "health": health, "stop_reason": StopReason.COMPLETED}
        reason = f"published {version.ref}; its verdict is {verdict.state}"
        return Result(reason, {**fields, **self.report()})

    def _hosts(self, dataset: Dataset) -> tuple[Any, Mapping[str, list[int]], list[str]]:
        """Squares that show no defect, those of each type, and the types that have none of their own.

        Without clean photographs, defects stay on the surface of their own type where it has a place.
        """
        config, datasets = self.job.config, services().datasets
        most = max(1, MOST_HOST_BYTES // (config["resolution"] ** 2 * config["channels"]))
        try:
            squares = datasets.load_clean(dataset.id, config["resolution"], crop_of(config), most)
        except ValueError as error:
            raise CannotPaste("the photographs have no place without a defect; add clean photographs") from error
        everything = list(range(len(squares.pixels)))
        if datasets.clean_photographs(dataset.id):
            return squares.pixels, dict.fromkeys(config["classes"], everything), []
        types = {each.file: _types_of(each) for each in datasets.photographs(dataset.id)}
        own = {
            name: [place for place, file in enumerate(squares.files) if name in types[file]]
            for name in config["classes"]
        }
        borrowing = [name for name, places in own.items() if not places]
        return squares.pixels, {name: places or everything for name, places in own.items()}, borrowing

    def _patches(self, dataset: Dataset) -> Steps[dict[str, list[Patch]]]:
        """The defects by type, photograph after photograph."""
        photographs = services().datasets.photographs(dataset.id)
        catalogue = RealDefects(dataset.id, dataset.name, photographs, self.job.config["classes"])
        found: dict[str, list[Patch]] = {name: [] for name in self.job.config["classes"]}
        for place, numbers in catalogue.chosen(self.job.config["seed"], PER_TYPE, MOST_PATCH_BYTES).items():
            for patch in patches_of_annotations(photographs[place], place, numbers):
                found[patch.defect_type].append(patch)
            self._step = min(self._step + 1, self.job.progress.total_steps)
            yield
        if empty := [name for name, each in found.items() if not each]:
            raise CannotPaste(
                f"in none of the boxes of '{empty[0]}' does anything stand out of the surface, so there is nothing to "
                "cut out; annotate masks or outlines"
            )
        return found

    def _show_samples(self, segment: Segment, images: PastedImages) -> None:
        """Writes the sample grid."""
        addresses = [Address(name, seed) for name in images.classes for seed in range(PREVIEW_COLUMNS)]
        pixels = np.concatenate([images.sample_batch([each]) for each in addresses])
        sheet = encode_png(grid(list(map(to_image, pixels)), PREVIEW_COLUMNS))
        segment.claim.write_bytes(JobFolder(services().store, self.job.id).sample(self.step), sheet)
        segment.emit("samples", {"step": self.step})


def _types_of(photograph: StoredPhotograph) -> set[str]:
    return {each.defect_type for each in photograph.annotations.defects}


def _health(health: Health, borrowing: list[str]) -> Health:
    if not borrowing:
        return health
    named = ", ".join(map(repr, borrowing))
    words = (
        f"the photographs of {named} show no place without a defect that is large enough: their defects are composed "
        "on photographs of other types; add clean photographs, or choose a lower resolution"
    )
    return Health(state=HealthState.WARNING, reasons=[*health.reasons, words])
