"""Versions of each kind that a bundle can hold, made without training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from flawsmith.core.domain.digital_source_type import COMPOSED, GENERATED
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.records import Labelling, ModelVersion
from flawsmith.core.store.reference_photographs import FILE as REFERENCES
from flawsmith.core.store.reference_photographs import ReferencePhotographs
from flawsmith.core.store.registry import Registry
from flawsmith.models.compositions import patches_of
from flawsmith.models.compositions.pasted import PasteMaterial
from flawsmith.models.labels.classifier import PixelClassifier
from flawsmith.models.labels.masks import FIGURES
from flawsmith.models.presets.registry import build_generator
from flawsmith.worker.generator_file import save_generator
from flawsmith.worker.pasted_images import save_material
from flawsmith.worker.published_labels import FILE, feature_maps
from tests.labelled_versions import CLASSES, SIDE, lively_generator, publish_lively

SMALL_WIDTHS = {"generator_width": 8, "discriminator_width": 8, "latent_size": 8}
PLAUSIBLE = {name: dict.fromkeys(FIGURES, (0.0, 9.0)) for name in CLASSES}


def dcgan(registry: Registry, model: str) -> ModelVersion:
    """With small pictures of the photographs that it was trained on."""
    version = publish_lively(registry, f"{model}-first")
    with registry.store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(registry.weights(version.model, version.version).read_bytes())
        pixels = np.random.default_rng(0).integers(0, 255, (6, SIDE, SIDE, 1), np.uint8)
        types = np.arange(6) % len(CLASSES)
        ReferencePhotographs.of(pixels, types, CLASSES, [f"{each}.png" for each in range(6)]).save(staged / REFERENCES)
        return registry.publish(model, staged, **_card_of(version, f"job-{model}"))


def fewshot(registry: Registry, model: str) -> ModelVersion:
    overrides = PRESETS["fewshot"].overrides(**SMALL_WIDTHS).model_dump()
    config = {**overrides, "resolution": SIDE, "channels": 1, "classes": CLASSES}
    torch.manual_seed(1)
    weights = build_generator("fewshot", config, len(CLASSES)).state_dict()
    essentials = {"preset": "fewshot", "classes": CLASSES, "resolution": SIDE, "mode": "L", "config": config}
    essentials |= {"precision": "float32", "qualified_on": "cpu"}
    with registry.store.staged() as staged:
        digest = save_generator(weights, staged / "generator.safetensors", essentials)
        card = {**essentials, "weights_sha256": digest, "training_job": f"job-{model}", "dataset_digest": "d"}
        return registry.publish(model, staged, **card, digital_source_type=GENERATED)


def labelled(registry: Registry, model: str) -> ModelVersion:
    """``MODEL@2``, which labels the images of ``MODEL@1``."""
    parent = publish_lively(registry, model)
    maps = feature_maps(parent, lively_generator().state_dict(), torch.device("cpu"))
    torch.manual_seed(2)
    network = PixelClassifier(maps.widths, maps.channels, len(CLASSES))
    with registry.store.staged() as staged:
        weights = registry.weights(parent.model, parent.version)
        (staged / "generator.safetensors").write_bytes(weights.read_bytes())
        save_file(network.state_dict(), staged / FILE)
        labelling = Labelling(job=f"labelling-{model}", source="masks", masks=1, boxes=0, ranges=PLAUSIBLE)
        card = _card_of(parent, parent.training_job) | {"labels": "mask", "parent": parent.ref, "labelling": labelling}
        return registry.publish(model, staged, **card)


def paste(registry: Registry, model: str) -> ModelVersion:
    random = np.random.default_rng(3)
    hosts = random.normal(150, 3, (2, SIDE, SIDE, 1)).clip(0, 255).astype(np.uint8)
    patches = []
    for number in range(2):
        mask = np.zeros((40, 40), bool)
        mask[16:22, 14 + number : 20] = True
        pixels = random.normal(150, 3, (40, 40)).clip(0, 255).astype(np.uint8)
        pixels[mask] -= 70
        patches += patches_of(pixels, mask, "pits", str(number))
    config = {"resolution": SIDE, "channels": 1, "classes": ["pits"], "per_image": [1, 1], "seed": 0}
    with registry.store.staged() as staged:
        digest = save_material(PasteMaterial(hosts, {"pits": [0, 1]}, {"pits": patches}), staged)
        return registry.publish(
            model,
            staged,
            preset="paste",
            classes=["pits"],
            resolution=SIDE,
            mode="L",
            config=config,
            weights_sha256=digest,
            training_job=f"job-{model}",
            dataset_digest="d",
            digital_source_type=COMPOSED,
            labels="mask",
        )


KINDS: dict[str, Callable[[Registry, str], ModelVersion]] = {
    "dcgan": dcgan,
    "fewshot": fewshot,
    "labelled": labelled,
    "paste": paste,
}


def _card_of(version: ModelVersion, job: str) -> dict[str, Any]:
    own = ("model", "version", "created_at", "training_job")
    return {name: each for name, each in dict(version).items() if name not in own} | {"training_job": job}
