"""A published version as the peers serve it: torch in float32, one pass per batch, the service's PNG settings."""

import os
import secrets
from pathlib import Path
from typing import Self

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.images import encode_png
from flawsmith.models.presets.registry import build_generator

FOLDER = "PUBLISHED_VERSION"  # environment variable: the version's folder, with card.json and generator.safetensors


class Published:
    """A loaded version."""

    def __init__(self, version: ModelVersion, generator: nn.Module) -> None:
        self.version, self.generator = version, generator.eval()

    @classmethod
    def load(cls) -> Self:
        """Loads the version that the environment variable names."""
        folder = Path(os.environ[FOLDER])
        version = ModelVersion.model_validate_json((folder / "card.json").read_bytes())
        generator = build_generator(version.preset, version.config, len(version.classes))
        generator.load_state_dict(load_file(folder / "generator.safetensors"))
        return cls(version, generator)

    @torch.inference_mode()
    def pictures(self, count: int) -> list[Image.Image]:
        """New images of the first defect type."""
        latents = torch.randn(count, self.version.config["latent_size"])
        images = self.generator(latents, torch.zeros(count, dtype=torch.int64))
        pixels = (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(each.squeeze()) for each in pixels]

    def pngs(self, count: int) -> list[bytes]:
        """New images, encoded."""
        return [png(self.version, picture) for picture in self.pictures(count)]


def png(version: ModelVersion, picture: Image.Image) -> bytes:
    """A PNG as the service answers it: the same compression, the same text chunks and XMP."""
    return encode_png(
        picture,
        {
            "Synthetic": "true",
            "Software": "Flawsmith",
            "Model": version.ref,
            "Defect-Type": version.classes[0],
            "Seed": str(secrets.randbits(53)),
        },
        source_type=version.digital_source_type,
    )
