"""Versions of a generator that nothing trained, whose bright places count as defects, and their masks."""

import numpy as np
import torch
from numpy.typing import NDArray

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.digital_source_type import GENERATED
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.registry import Registry
from flawsmith.models.presets.generator import PresetGenerator
from flawsmith.models.presets.registry import build_generator
from flawsmith.worker.engine import Engine
from flawsmith.worker.generator_file import save_generator

CLASSES = ["dents", "pits"]
SIDE = 32
BRIGHT = 195  # gray level
CONFIG = {"resolution": SIDE, "channels": 1, "latent_size": 8, "generator_depth": 4, "classes": CLASSES}
ESSENTIALS = {"preset": "dcgan", "classes": CLASSES, "resolution": SIDE, "mode": "L", "config": CONFIG}
ESSENTIALS |= {"precision": "float32", "qualified_on": "cpu"}


def lively_generator() -> PresetGenerator:
    """Its images differ, and are bright in some places."""
    torch.manual_seed(0)
    generator = build_generator("dcgan", CONFIG, len(CLASSES))
    with torch.no_grad():
        first, *others = (each for each in generator.modules() if isinstance(each, torch.nn.ConvTranspose2d))
        first.weight.mul_(20)
        for each in others:
            each.weight.fill_(0.3 / each.weight.shape[0])  # what is bright in the coarsest map, smoothed
    return generator


def publish_lively(registry: Registry, model: str = "m", dataset_digest: str = "digest") -> ModelVersion:
    with registry.store.staged() as staged:
        digest = save_generator(lively_generator().state_dict(), staged / "generator.safetensors", ESSENTIALS)
        card = {"weights_sha256": digest, "training_job": f"job-{model}", "dataset_digest": dataset_digest}
        return registry.publish(model, staged, **ESSENTIALS, **card, digital_source_type=GENERATED)


def sampled(registry: Registry, reference: str, addresses: list[Address]) -> NDArray[np.uint8]:
    return np.concatenate([Engine(registry, 1, torch.device("cpu")).sample(reference, [each]) for each in addresses])


def marked(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where an image of (H, W, 1) pixels is bright, (H, W)."""
    return pixels[..., 0] >= BRIGHT
