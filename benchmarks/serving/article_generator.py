"""The article's generator as a published version without training: random weights with calibrated batch norms."""

import hashlib
import json
import secrets
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from flawsmith.core.domain.presets.dcgan import DcganOverrides
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry
from flawsmith.models.inference.session import Precision, device_kind
from flawsmith.models.presets.registry import build_generator
from flawsmith.worker.qualification import qualify

CALIBRATION_PASSES = 4
CALIBRATION_BATCH = 16


def article_config(**overrides: int) -> dict[str, Any]:
    """The configuration of a training on one type of gray photographs, with the defaults of the preset."""
    numbers = DcganOverrides(**{name: value for name, value in overrides.items() if name != "resolution"})
    return {
        "resolution": overrides.get("resolution", 128),
        "channels": 1,
        "classes": ["scratches"],
        "seed": 0,
        **numbers.model_dump(),
    }


def random_weights(config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights of an untrained generator whose batch norms hold the statistics of its own activations.

    With the initial statistics each layer would shrink the signal. The images would be one plain gray, which costs
    nothing to encode.
    """
    torch.manual_seed(config["seed"])
    generator = build_generator("dcgan", config, len(config["classes"]))
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the running statistics become the mean of all passes
    with torch.inference_mode():
        for _ in range(CALIBRATION_PASSES):
            latents = torch.randn(CALIBRATION_BATCH, config["latent_size"])
            generator(latents, torch.zeros(CALIBRATION_BATCH, dtype=torch.int64))
    return {name: each.clone() for name, each in generator.state_dict().items()}


def save_weights(folder: Path, config: dict[str, Any]) -> Path:
    """Writes the weights into a file that `publish` can use any number of times."""
    path = folder / "generator.safetensors"
    save_file(random_weights(config), path)
    return path


@cache
def _qualified(weights: Path, config: str) -> Precision:
    return qualify("dcgan", json.loads(config), load_file(weights), torch.device("cpu"))


@cache
def _digest(weights: Path) -> str:
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def publish(data_dir: Path, model: str, weights: Path, config: dict[str, Any]) -> ModelVersion:
    """Publishes the weights as the next version of the model in a service's store."""
    registry = Registry(ArtifactStore(data_dir / "artifacts"))
    with registry.store.staged() as staged:
        # A hard link: ten thousand versions need the disk space of one. Published files never change.
        (staged / weights.name).hardlink_to(weights)
        return registry.publish(
            model,
            staged,
            classes=config["classes"],
            resolution=config["resolution"],
            mode="L",
            preset="dcgan",
            config=config,
            precision=_qualified(weights, json.dumps(config)),
            qualified_on=device_kind(torch.device("cpu")),
            training_job=f"job-{secrets.token_hex(10)}",
            dataset_digest="0" * 64,
            weights_sha256=_digest(weights),
        )
