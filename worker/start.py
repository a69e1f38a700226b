"""Gives a new run the weights that its configuration begins with."""

from collections.abc import Mapping
from typing import Any

from safetensors.torch import load_file

from flawsmith.core.services import Services
from flawsmith.models.training.trainer import StartsFromPrior, Trainer
from flawsmith.worker.prior_file import NETWORKS, load_prior


def load_start(trainer: Trainer, config: Mapping[str, Any], services: Services) -> None:
    """Loads the version that ``init_from`` names, or the prior; else the random weights stay.

    Raises:
        UnknownModel: the version was deleted.
        UnknownPrior, DamagedPrior: the prior is not in this installation, or not as it was.
    """
    if origin := config.get("init_from"):
        folder = services.registry.folder(services.registry.resolve(origin))
        trainer.load_networks({name: load_file(folder / f"{name}.safetensors") for name in NETWORKS})
    elif digest := config.get("prior"):
        assert isinstance(trainer, StartsFromPrior)  # its preset has priors
        trainer.load_prior(load_prior(services.priors.path(digest)))
