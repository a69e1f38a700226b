"""Compositions as records: defects on clean photographs."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from flawsmith.core.domain.composition_request import SPARE_TRIES, TRIES
from flawsmith.core.domain.export_layouts import LabelKind
from flawsmith.core.domain.job_kinds.composition import CompositionJob
from flawsmith.core.services import Services
from flawsmith.core.store.images import encode_png
from flawsmith.models.compositions import Blend, Composition, Placed, UnplaceableError, compose
from flawsmith.worker.compositions.defects import BLOCK, CannotPlace, DefectSource, PatchLibrary, held_addresses
from flawsmith.worker.compositions.generated_defects import GeneratedDefects
from flawsmith.worker.compositions.hosts import Host, Hosts, background_key
from flawsmith.worker.compositions.real_defects import RealDefects
from flawsmith.worker.exports.checked_images import CheckedImages
from flawsmith.worker.exports.records import ExportRecord, LabelledDefect, RecordSource

BLENDS = {"auto": Blend.AUTO, "alpha": Blend.FEATHER, "poisson": Blend.POISSON}
NO_PLACE = "no_place"


class CompositionSource(RecordSource):
    """Makes one composition for each seed, from the job's seed on.

    The seed alone decides what a composition is, whatever else is made: clean photographs take turns, and a block of
    seeds has its patches.

    Args:
        job: whose records it makes.
        services: of this process.
        device: where images are sampled.
        state: where to continue; empty: at the beginning.

    Raises:
        UnknownDataset, UnknownModel: a dataset or the version was deleted.
        FileNotFoundError: the version has a quality floor, and nothing to score images with.
    """

    def __init__(self, job: CompositionJob, services: Services, device: torch.device, state: Mapping[str, Any]) -> None:
        self._config = job.config
        self._hosts, self._defects = Hosts(job, services), _defects_of(job, services, device)
        self.title = f"{self._defects.title}-on-{self._hosts.title}"
        self.classes, self.labels = list(job.config["types"]), LabelKind.MASKS
        self.source_type = self._defects.source_type
        self._library: PatchLibrary | None = None
        self._candidate, self._made = state.get("candidate", 0), state.get("made", 0)
        self.left_out = Counter[str](state.get("left_out", {}))

    @property
    def over(self) -> bool:
        return bool(self._made == self._config["count"])

    def state(self) -> dict[str, Any]:
        return {"candidate": self._candidate, "made": self._made, "left_out": dict(self.left_out)}

    def next(self) -> list[ExportRecord]:
        """One composition, or none: while patches are cut, and where there is no place. Raises CannotPlace."""
        seed = self._config["seed"] + self._candidate
        library = self._library_of(seed // BLOCK)
        if not library.ready:
            library.load_next()
            return []
        host = self._hosts.at(seed)
        self._candidate += 1
        try:
            made = compose(
                host.pixels,
                library.patches,
                seed,
                per_image=(self._config["per_image"][0], self._config["per_image"][1]),
                region=host.region,
                rules=library.rules,
                blend=BLENDS[self._config["blend"]],
            )
        except UnplaceableError as error:
            self.left_out[NO_PLACE] += 1
            if self._candidate > TRIES * self._made + SPARE_TRIES:
                made_of = f"{self._made} of {self._candidate} images could be made"
                raise CannotPlace(f"{made_of}. The last one: {error}") from error
            return []
        self._made += 1
        return [self._record(seed, host, made)]

    def _library_of(self, block: int) -> PatchLibrary:
        if self._library is None or self._library.block != block:
            self._library = PatchLibrary(self._defects, block)
        return self._library

    def _record(self, seed: int, host: Host, made: Composition) -> ExportRecord:
        defect_type = _foremost(made.placed)
        parts = list(map(self._part, made.placed))
        composition = {"seed": seed, "background": dict(host.described), "parts": parts}
        text = {
            "Synthetic": "true",
            "Software": "Flawsmith",
            "Seed": str(seed),
            "Composition": json.dumps(composition),
        }
        return ExportRecord(
            name=str(seed),
            defect_type=defect_type,
            size=(made.pixels.shape[1], made.pixels.shape[0]),
            png=encode_png(Image.fromarray(made.pixels), text, source_type=self.source_type),
            address={"defect_type": defect_type, "seed": seed, "composition": composition},
            held=held_addresses(parts),
            defects=[_labelled(each) for each in made.placed],
            background=background_key(host.described),
        )

    def _part(self, placed: Placed) -> dict[str, Any]:
        """Where a defect is from and what was done to it, as JSON."""
        change = placed.change
        return {
            **self._defects.describe(placed.source),
            "defect_type": placed.defect_type,
            "mirrored": [change.mirrored_horizontally, change.mirrored_vertically],
            "rotation": change.rotation,
            "scale": change.scale,
            "blend": next(name for name, blend in BLENDS.items() if blend is placed.blend),
        }


def _defects_of(job: CompositionJob, services: Services, device: torch.device) -> DefectSource:
    config = job.config
    if config["source"] == "generated":
        version = services.registry.resolve(str(job.version))
        images = CheckedImages(version, services.registry, device, floor=config["floor"])
        return GeneratedDefects(images, config["types"], config["scale"])
    dataset = services.datasets.get(str(job.defects))
    return RealDefects(dataset.id, dataset.name, services.datasets.photographs(dataset.id), config["types"])


def _labelled(placed: Placed) -> LabelledDefect:
    x, y, width, height = placed.box
    return LabelledDefect(placed.defect_type, (x, y, x + width, y + height), placed.marked)


def _foremost(placed: Sequence[Placed]) -> str:
    """The type with the most pixels: what an image with defects of several types counts as, where it must be one."""
    areas = Counter[str]()
    for each in placed:
        areas[each.defect_type] += int(np.count_nonzero(each.marked))
    return min(areas, key=lambda name: (-areas[name], name))
