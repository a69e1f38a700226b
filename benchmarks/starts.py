"""What the training of a benchmark begins with: random weights, or the prior of the package that fits."""

from collections.abc import Mapping
from typing import Any

from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.priors import fitting, why_none_fits
from flawsmith.core.store.priors import Priors
from flawsmith.models.training.trainer import StartsFromPrior, Trainer
from flawsmith.worker.prior_file import load_prior

PRIOR, NOTHING = "prior", "nothing"
STARTS = (PRIOR, NOTHING)


def load_start(trainer: Trainer, start: str, preset: str, config: Mapping[str, Any]) -> None:
    """Loads what a run begins with. Ends the program where no prior fits the configuration."""
    if start == NOTHING:
        return
    priors = Priors()
    card = fitting(priors.cards, PRESETS[preset], config)
    if card is None:
        raise SystemExit(f"{why_none_fits(priors.cards, PRESETS[preset], config)}; give --start nothing")
    assert isinstance(trainer, StartsFromPrior)  # its preset has priors
    trainer.load_prior(load_prior(priors.path(card.weights_sha256)))
