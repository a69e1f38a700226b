"""The images of a model version as records of an export."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import from_json, is_searched
from flawsmith.core.domain.digital_source_type import GENERATED
from flawsmith.core.domain.export_layouts import LabelKind, version_labels
from flawsmith.core.domain.export_request import SPARE_TRIES, TRIES, candidate_seed
from flawsmith.core.domain.folder_names import folder_names
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.worker.engine import encode
from flawsmith.worker.exports.checked_images import CheckedImage, CheckedImages
from flawsmith.worker.exports.records import ExportRecord, LabelledDefect, RecordSource
from flawsmith.worker.published_labels import FoundLabels


class TooFewPass(Exception):
    """So few images pass the request's conditions that the export would not come to an end."""


class VersionSource(RecordSource):
    """Samples the candidates of one type after the other, and leaves out what must not be given out.

    Args:
        version: to sample.
        config: of the job, see `resolve_export`.
        services: of this process.
        device: where to sample.
        state: where to continue; empty: at the beginning.

    Raises:
        UnknownModel: the version was deleted.
        NoReferences: ``max_similarity`` is set, and there are no photographs to compare with.
        FileNotFoundError: the version has a quality floor, and nothing to score images with.
    """

    def __init__(
        self,
        version: ModelVersion,
        config: dict[str, Any],
        services: Services,
        device: torch.device,
        state: Mapping[str, Any],
    ) -> None:
        self.version, self.config = version, config
        self.title, self.classes, self.labels = version.ref, version.classes, version_labels(version)
        self.source_type = version.digital_source_type or GENERATED
        self.left_out = Counter(state.get("left_out", {}))
        self._type: int = state.get("type", 0)  # whose turn it is
        self._candidate: int = state.get("candidate", 0)  # the next one of that type
        self._made: int = state.get("made", 0)  # of that type
        self._folders = folder_names(version.classes)
        self._attributes = from_json(config.get("attributes", {}))
        self._images = CheckedImages(
            version, services.registry, device, floor=config["floor"], max_similarity=config["max_similarity"]
        )

    @property
    def over(self) -> bool:
        return self._type == len(self.config["counts"])

    def state(self) -> dict[str, Any]:
        left_out = dict(self.left_out)
        return {"type": self._type, "candidate": self._candidate, "made": self._made, "left_out": left_out}

    def next(self) -> list[ExportRecord]:
        """The images of one pass that pass. Raises TooFewPass."""
        defect_type, count = list(self.config["counts"].items())[self._type]
        addresses = list[Address]()
        is_filtered = self._images.is_filtered or is_searched(self._attributes)
        while len(addresses) < (MICRO_BATCH if is_filtered else min(MICRO_BATCH, count - self._made)):
            number = self._candidate + len(addresses)
            seed = candidate_seed(self.config, self.version, defect_type, number)
            addresses.append(Address(defect_type, seed, self._attributes))
        records = []
        for image in self._images(addresses):
            self._candidate += 1
            if image.reason:
                self.left_out[image.reason] += 1
                continue
            records.append(self._record(image))
            self._made += 1
            if self._made == count:
                self._type, self._candidate, self._made = self._type + 1, 0, 0
                return records
        if self._candidate > TRIES * self._made + SPARE_TRIES:
            raise TooFewPass(self._too_few(defect_type, count))
        return records

    def _record(self, image: CheckedImage) -> ExportRecord:
        address, (height, width) = image.address, image.pixels.shape[:2]
        return ExportRecord(
            name=str(address.seed),
            defect_type=address.defect_type,
            size=(width, height),
            png=encode(self.version, address, image.pixels),
            address={"model": self.version.ref, **address.to_json()},
            held=[(self.version.ref, address.defect_type, address.seed)],
            defects=self._defects(address, image.labels) if image.labels else (),
        )

    def _defects(self, address: Address, found: FoundLabels) -> list[LabelledDefect]:
        if self.labels is LabelKind.MASKS:
            return [LabelledDefect.of_mask(address.defect_type, each) for each in found.parts]
        return [LabelledDefect(address.defect_type, each) for each in found.boxes]

    def _too_few(self, defect_type: str, count: int) -> str:
        reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(self.left_out.items()))
        right = []
        if self._attributes:
            right.append("ask for wider 'attributes'")
        if self._images.max_similarity is not None:
            right.append("allow a higher 'max_similarity'")
        if self._images.floor is not None:
            right.append("have an operator lower the quality floor")
        return (
            f"of {self._candidate} images of '{defect_type}' only {self._made} of {count} could be exported "
            f"(left out: {reasons}); {', '.join([*right, 'or use another version'])}"
        )
