"""What the trainer of a job is built of, also as files, from which another process builds the same one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from flawsmith.models.presets.registry import build_trainer
from flawsmith.models.training.holdout import HoldoutRule
from flawsmith.models.training.photograph_masks import PhotographMasks
from flawsmith.models.training.trainer import Trainer

TENSORS, NUMBERS = "trainer.safetensors", "trainer.json"


@dataclass(frozen=True)
class TrainerParts:
    """The arguments of `build_trainer`, but for the device.

    Attributes:
        preset: its name.
        config: of the run; what `trainer_config` answers.
        types: number of defect types.
        images: (N, channels, resolution, resolution) uint8, on the CPU.
        type_index: (N,) int64, each image's defect type.
        photograph: (N,) int64, each image's photograph.
        rule: of the holdout; None in runs of earlier releases.
        masks: of the images; None where none are learned.
    """

    preset: str
    config: Mapping[str, Any]
    types: int
    images: Tensor
    type_index: Tensor
    photograph: Tensor
    rule: HoldoutRule | None
    masks: PhotographMasks | None

    def build(self, device: torch.device) -> Trainer:
        """A trainer at its first step. Raises as `build_trainer`."""
        return build_trainer(
            self.preset,
            self.config,
            self.images,
            self.type_index,
            self.types,
            device,
            self.photograph,
            self.rule,
            self.masks,
        )

    def save(self, folder: Path) -> None:
        """Writes the files into an existing folder. Raises OSError."""
        found: dict[str, Tensor | None] = {
            "images": self.images,
            "type_index": self.type_index,
            "photograph": self.photograph,
            "kept": self.rule.kept if self.rule else None,
            "seen": self.rule.seen if self.rule else None,
            "mask_pixels": self.masks.pixels if self.masks else None,
            "mask_known": self.masks.known if self.masks else None,
        }
        save_file({name: each.contiguous() for name, each in found.items() if each is not None}, folder / TENSORS)
        numbers = {"preset": self.preset, "config": dict(self.config), "types": self.types, "ruled": bool(self.rule)}
        (folder / NUMBERS).write_text(json.dumps(numbers))


def load_parts(folder: Path) -> TrainerParts:
    """What `TrainerParts.save` wrote."""
    numbers, tensors = json.loads((folder / NUMBERS).read_text()), load_file(folder / TENSORS)
    masked = "mask_pixels" in tensors
    return TrainerParts(
        preset=numbers["preset"],
        config=numbers["config"],
        types=numbers["types"],
        images=tensors["images"],
        type_index=tensors["type_index"],
        photograph=tensors["photograph"],
        rule=HoldoutRule(tensors.get("kept"), tensors.get("seen")) if numbers["ruled"] else None,
        masks=PhotographMasks(tensors["mask_pixels"], tensors["mask_known"]) if masked else None,
    )
