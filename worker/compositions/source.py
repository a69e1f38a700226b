"""Compositions as records: real defects on clean photographs."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from flawsmith.core.domain.composition_request import SPARE_TRIES, TRIES
from flawsmith.core.domain.digital_source_type import COMPOSED
from flawsmith.core.domain.export_layouts import LabelKind
from flawsmith.core.domain.job_kinds.composition import CompositionJob
from flawsmith.core.services import Services
from flawsmith.core.store.composition_material import clean_photographs, decoded_region
from flawsmith.core.store.datasets.dataset_folder import StoredPhotograph
from flawsmith.core.store.images import encode_png
from flawsmith.models.compositions import (
    Blend,
    Composition,
    Placed,
    UnplaceableError,
    compose,
    part_region,
    polygon_region,
)
from flawsmith.models.compositions.parts import Mask, Pixels
from flawsmith.worker.compositions.patch_library import BLOCK, DefectCatalogue, PatchLibrary, read_pixels
from flawsmith.worker.exports.records import ExportRecord, LabelledDefect, RecordSource

BLENDS = {"auto": Blend.AUTO, "alpha": Blend.FEATHER, "poisson": Blend.POISSON}
NO_PLACE = "no_place"


class CannotPlace(Exception):
    """So few compositions can be made that the job would not come to an end."""


class CompositionSource(RecordSource):
    """Makes one composition for each seed, from the job's seed on.

    The seed alone decides what a composition is, whatever else is made: clean photographs take turns, and a block of
    seeds has its patches.

    Args:
        job: whose records it makes.
        services: of this process.
        state: where to continue; empty: at the beginning.

    Raises:
        UnknownDataset: a dataset was deleted.
    """

    def __init__(self, job: CompositionJob, services: Services, state: Mapping[str, Any]) -> None:
        self._config = job.config
        defects, background = (services.datasets.get(each) for each in (job.defects, job.background))
        self._datasets = {"defects": defects.id, "background": background.id}
        self.title = f"{defects.name}-on-{background.name}"
        self.classes, self.labels, self.source_type = list(job.config["types"]), LabelKind.MASKS, COMPOSED
        self._hosts = clean_photographs(services.datasets, background.id)
        self._catalogue = DefectCatalogue(services.datasets.photographs(defects.id), self.classes)
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
        if not library.patches:
            raise CannotPlace(
                "in none of the boxes of the defects does anything stand out of the surface, so there is nothing to "
                "cut out; annotate masks or outlines"
            )
        host = self._hosts[seed % len(self._hosts)]
        pixels = read_pixels(host.path)
        self._candidate += 1
        try:
            made = compose(
                pixels,
                library.patches,
                seed,
                per_image=(self._config["per_image"][0], self._config["per_image"][1]),
                region=self._region(pixels),
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
            self._library = PatchLibrary(self._catalogue, block)
        return self._library

    def _region(self, pixels: Pixels) -> Mask:
        region = self._config["region"]
        if region is None:
            return part_region(pixels).mask
        if "polygon" in region:
            corners = [(x, y) for x, y in region["polygon"]]
            return polygon_region(corners, pixels.shape[1], pixels.shape[0])
        return decoded_region(region)

    def _record(self, seed: int, host: StoredPhotograph, made: Composition) -> ExportRecord:
        defect_type = _foremost(made.placed)
        background = {"dataset": self._datasets["background"], "file": host.file}
        composition = {"seed": seed, "background": background, "parts": list(map(self._part, made.placed))}
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
            png=encode_png(Image.fromarray(made.pixels), text, source_type=COMPOSED),
            address={"defect_type": defect_type, "seed": seed, "composition": composition},
            held=[],
            defects=[_labelled(each) for each in made.placed],
            background=f"{background['dataset']}/{background['file']}",
        )

    def _part(self, placed: Placed) -> dict[str, Any]:
        """Where a defect is from and what was done to it, as JSON."""
        change = placed.change
        return {
            **self._catalogue.describe(placed.source, self._datasets["defects"]),
            "defect_type": placed.defect_type,
            "mirrored": [change.mirrored_horizontally, change.mirrored_vertically],
            "rotation": change.rotation,
            "scale": change.scale,
            "blend": next(name for name, blend in BLENDS.items() if blend is placed.blend),
        }


def _labelled(placed: Placed) -> LabelledDefect:
    x, y, width, height = placed.box
    return LabelledDefect(placed.defect_type, (x, y, x + width, y + height), placed.marked)


def _foremost(placed: Sequence[Placed]) -> str:
    """The type with the most pixels: what an image with defects of several types counts as, where it must be one."""
    areas = Counter[str]()
    for each in placed:
        areas[each.defect_type] += int(np.count_nonzero(each.marked))
    return min(areas, key=lambda name: (-areas[name], name))
