"""The images of a model version as records of an export."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.digital_source_type import GENERATED
from flawsmith.core.domain.export_layouts import LabelKind, version_labels
from flawsmith.core.domain.export_request import SPARE_TRIES, TRIES, candidate_seed
from flawsmith.core.domain.folder_names import folder_names
from flawsmith.core.domain.image_modes import without_gray_axis
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.reference_photographs import ReferenceCache
from flawsmith.worker.engine import encode
from flawsmith.worker.exports.records import ExportRecord, LabelledDefect, RecordSource
from flawsmith.worker.image_scores import PublishedScore
from flawsmith.worker.published_labels import FoundLabels
from flawsmith.worker.version_sampler import load_labeller, load_sampler

TOO_SIMILAR, BELOW_FLOOR, WITHDRAWN = "too_similar", "below_floor", "withdrawn"
DOUBTFUL_LABELS = "doubtful_labels"


class NoReferences(Exception):
    """The version has no reference photographs to compare images with."""


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
        self.version, self.config, self._registry = version, config, services.registry
        self.title, self.classes, self.labels = version.ref, version.classes, version_labels(version)
        self.source_type = version.digital_source_type or GENERATED
        self.left_out = Counter(state.get("left_out", {}))
        self._type: int = state.get("type", 0)  # whose turn it is
        self._candidate: int = state.get("candidate", 0)  # the next one of that type
        self._made: int = state.get("made", 0)  # of that type
        self._folders = folder_names(version.classes)
        self._generator = load_sampler(version, services.registry, device)
        folder = services.registry.folder(version)
        self._labels = load_labeller(version, services.registry, device) if version.labels else None
        self._score = PublishedScore(folder) if config["floor"] is not None else None
        self._references = ReferenceCache().load(folder) if config["max_similarity"] is not None else None
        if self._references is None and config["max_similarity"] is not None:
            raise NoReferences(
                f"the photographs that {version.ref} was trained on were deleted, and images cannot be compared with "
                "them; export again without 'max_similarity', or train the model again on its photographs"
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
        withdrawn, addresses = self._registry.withdrawn(self.version), list[Address]()
        is_filtered = any(each is not None for each in (self._score, self._references, self._labels))
        while len(addresses) < (MICRO_BATCH if is_filtered else min(MICRO_BATCH, count - self._made)):
            number = self._candidate + len(addresses)
            seed = candidate_seed(self.config, self.version, defect_type, number)
            addresses.append(Address(defect_type, seed))
        pixels = self._generator.sample_batch(addresses)
        reasons = self._reasons(addresses, pixels)
        labels: Sequence[FoundLabels | None] = [None] * len(addresses)
        if self._labels is not None:
            labels = self._labels(addresses)
        records = []
        for address, picture, found, reason in zip(addresses, pixels, labels, reasons, strict=True):
            self._candidate += 1
            if address in withdrawn:
                reason = WITHDRAWN
            if found and not found.plausible:
                reason = reason or DOUBTFUL_LABELS
            if reason:
                self.left_out[reason] += 1
                continue
            records.append(self._record(address, picture, found))
            self._made += 1
            if self._made == count:
                self._type, self._candidate, self._made = self._type + 1, 0, 0
                return records
        if self._candidate > TRIES * self._made + SPARE_TRIES:
            raise TooFewPass(self._too_few(defect_type, count))
        return records

    def _reasons(self, addresses: list[Address], pixels: NDArray[np.uint8]) -> list[str | None]:
        """Why each of (B, H, W, C) images must be left out; None: it need not."""
        reasons: list[str | None] = [None] * len(addresses)
        if self._references is not None:
            pictures, types = list(map(without_gray_axis, pixels)), [each.defect_type for each in addresses]
            for number, near in enumerate(self._references.nearest(pictures, types)):
                if near.similarity > self.config["max_similarity"]:
                    reasons[number] = TOO_SIMILAR
        if self._score is not None:
            for number, score in enumerate(self._score(addresses, pixels)):
                if score < self.config["floor"]:  # never of a type without a score
                    reasons[number] = BELOW_FLOOR
        return reasons

    def _record(self, address: Address, pixels: NDArray[np.uint8], found: FoundLabels | None) -> ExportRecord:
        height, width = pixels.shape[:2]
        return ExportRecord(
            name=str(address.seed),
            defect_type=address.defect_type,
            size=(width, height),
            png=encode(self.version, address, pixels),
            address={"model": self.version.ref, **address.to_json()},
            held=[(self.version.ref, address.defect_type, address.seed)],
            defects=self._defects(address, found) if found else (),
        )

    def _defects(self, address: Address, found: FoundLabels) -> list[LabelledDefect]:
        if self.labels is LabelKind.MASKS:
            return [LabelledDefect.of_mask(address.defect_type, each) for each in found.parts]
        return [LabelledDefect(address.defect_type, each) for each in found.boxes]

    def _too_few(self, defect_type: str, count: int) -> str:
        reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(self.left_out.items()))
        right = []
        if self._references is not None:
            right.append("allow a higher 'max_similarity'")
        if self._score is not None:
            right.append("have an operator lower the quality floor")
        return (
            f"of {self._candidate} images of '{defect_type}' only {self._made} of {count} could be exported "
            f"(left out: {reasons}); {', '.join([*right, 'or use another version'])}"
        )
