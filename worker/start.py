"""Gives a new run the weights that its configuration begins with, and draws what these would have drawn."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flawsmith.core.services import Services
from flawsmith.core.store.priors import UnknownPrior
from flawsmith.models.training.trainer import StartsFromPrior, Trainer
from flawsmith.worker.prior_file import NETWORKS, DamagedPrior, load_prior
from flawsmith.worker.published_generator import PublishedGenerator
from flawsmith.worker.stored_tensors import load_tensors

log = logging.getLogger(__name__)


def load_start(trainer: Trainer, config: Mapping[str, Any], services: Services) -> None:
    """Loads the version that ``init_from`` names, or the prior; else the random weights stay.

    Raises:
        UnknownModel: the version was deleted.
        UnknownPrior, DamagedPrior: the prior is not in this installation, or not as it was.
    """
    if origin := config.get("init_from"):
        folder = services.registry.folder(services.registry.resolve(origin))
        trainer.load_networks({name: load_tensors(folder / f"{name}.safetensors") for name in NETWORKS})
    elif digest := config.get("prior"):
        assert isinstance(trainer, StartsFromPrior)  # its preset has priors
        trainer.load_prior(load_prior(services.priors.path(digest)))


def start_generator(
    weights: Mapping[str, Tensor], card: Mapping[str, Any], services: Services, device: torch.device
) -> PublishedGenerator | None:
    """The generator of a version as it was at the first step from a prior; None without one, or where it is gone.

    A version that continues another one has the prior that the first of them began with.

    Args:
        weights: of the version's generator. What belongs to its defect types and photographs stays, but types do not
            matter yet, as at the first step.
        card: fields of `ModelVersion`, at least those of `generator_file.ESSENTIALS`.
        services: of this process.
        device: where it samples.
    """
    if not (digest := card["config"].get("prior")):
        return None
    try:
        prior = load_prior(services.priors.path(digest))["generator"]
    except (UnknownPrior, DamagedPrior) as error:
        log.warning("images of the start are not compared with: %s", error)
        return None
    at_first = {"conditioning": torch.zeros_like(weights["conditioning"])}
    return PublishedGenerator(
        {**weights, **prior, **at_first},
        device=device,
        **{name: card[name] for name in ("preset", "config", "classes", "precision", "qualified_on")},
    )
