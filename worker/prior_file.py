"""The file of a prior: float16 weights of both networks, and in the metadata its card."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load, save, save_file
from torch import Tensor

from flawsmith.core.domain.priors import METADATA_KEY, PriorCard
from flawsmith.models.training.state import below
from flawsmith.models.training.trainer import Networks

NETWORKS = ("generator", "discriminator")


class DamagedPrior(Exception):
    """A prior's file does not hold the weights that its card names."""


def stored(networks: Networks) -> dict[str, Tensor]:
    """The tensors of a file: ``network.weight``, float16."""
    tensors = {f"{name}.{key}": each for name, weights in networks.items() for key, each in weights.items()}
    return {name: each.to(torch.float16).contiguous() for name, each in tensors.items()}


def weights_digest(networks: Networks) -> str:
    """Names the weights as they are stored: SHA-256 of their serialisation without metadata."""
    return hashlib.sha256(save(stored(networks))).hexdigest()


def save_prior(networks: Networks, card: PriorCard, path: Path) -> None:
    """Writes the file; ``card.weights_sha256`` must be `weights_digest` of the networks."""
    save_file(stored(networks), path, metadata={METADATA_KEY: card.model_dump_json()})


def load_prior(path: Path) -> Networks:
    """The weights of both networks, float32.

    Raises:
        DamagedPrior: they are not those that the file's card names.
        OSError, SafetensorError: the file cannot be read.
    """
    data = path.read_bytes()
    tensors = load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    card = PriorCard.model_validate_json(header["__metadata__"][METADATA_KEY])
    if hashlib.sha256(save(tensors)).hexdigest() != card.weights_sha256:
        raise DamagedPrior(f"{path.name} does not hold the weights that its card names; install Flawsmith again")
    return {name: {key: each.float() for key, each in below(tensors, name).items()} for name in NETWORKS}
