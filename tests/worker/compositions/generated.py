"""A labelled version whose bright places are its defects, for compositions without a trained label network."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tests.labelled_versions import CLASSES, ESSENTIALS, lively_generator, marked
from tests.worker.compositions.material import Workshop

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.digital_source_type import GENERATED
from flawsmith.core.domain.records import Labelling, ModelVersion
from flawsmith.core.store.registry import Registry
from flawsmith.models.labels.masks import boxes_of
from flawsmith.worker.engine import Engine
from flawsmith.worker.generator_file import save_generator
from flawsmith.worker.published_labels import FoundLabels

CPU = torch.device("cpu")
DOUBTFUL = 0.5  # share of the picture from which on a mask is not plausible


class BrightPlaces:
    """In place of `PublishedLabels`: what is bright in an image is its defect."""

    registry: Registry

    def __init__(self, version: ModelVersion, folder: Path, device: torch.device) -> None:
        self.version, self._engine = version, Engine(self.registry, 1, device)

    def __call__(self, addresses: Sequence[Address], candidates: None = None) -> list[FoundLabels]:
        found = []
        for pixels in self._engine.sample(self.version.ref, addresses):
            mask = marked(pixels)
            plausible = bool(mask.any()) and float(mask.mean()) < DOUBTFUL
            if self.version.labels == "box":  # such a network marks all of a box
                for left, top, right, bottom in boxes_of(mask):
                    mask[top:bottom, left:right] = True
            found.append(FoundLabels(mask, plausible))
        return found


def publish_labelled(
    workshop: Workshop, model: str = "glossy", labels: str | None = "mask", scale: float | None = 1.0
) -> ModelVersion:
    """A version of the generator that nothing trained, with labels."""
    registry: Registry = workshop.services.registry
    essentials = {**ESSENTIALS, "config": {**ESSENTIALS["config"], "scale": scale}}  # type: ignore[dict-item]
    with registry.store.staged() as staged:
        digest = save_generator(lively_generator().state_dict(), staged / "generator.safetensors", ESSENTIALS)
        card = {"weights_sha256": digest, "training_job": f"job-{model}", "dataset_digest": "digest"}
        if labels:
            labelling = Labelling(job=f"labelling-{model}", source="masks", masks=12, boxes=0)
            card |= {"labels": labels, "parent": f"{model}@0", "labelling": labelling}
        return registry.publish(model, staged, **essentials, **card, digital_source_type=GENERATED)


__all__ = ["CLASSES", "CPU", "BrightPlaces", "publish_labelled"]
