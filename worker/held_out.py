"""Which photographs a run holds out, by its configuration and its dataset."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flawsmith.core.services import Services
from flawsmith.core.store.datasets import Squares
from flawsmith.models.presets.registry import held_out
from flawsmith.models.training.holdout import HoldoutRule


def holdout_rule(
    config: Mapping[str, Any], squares: Squares, dataset_id: str, services: Services
) -> HoldoutRule | None:
    """What decides the holdout of a run; None in runs of earlier releases, which knew no rules.

    Args:
        config: of the run.
        squares: of its dataset, cut as the configuration says.
        dataset_id: of a dataset with this content.
        services: of this process.

    Raises:
        UnknownDataset: it was deleted.
    """
    if config.get("holdout_by") != "photograph":
        return None
    origin = config.get("inherited_holdout")
    if origin is None:
        return HoldoutRule()
    kept = np.isin(squares.photograph, inherited(origin, dataset_id, services))
    seen = (squares.photograph < origin["photographs"]) & ~kept
    return HoldoutRule(torch.from_numpy(kept), torch.from_numpy(seen))


def inherited(origin: Mapping[str, Any], dataset_id: str, services: Services) -> list[int]:
    """The numbers of the photographs that the run of an `InheritedHoldout` held out. Raises UnknownDataset."""
    config = origin["config"]
    squares = services.datasets.load_first(dataset_id, origin["photographs"], config)
    spared = held_out_squares(origin["preset"], config, squares, dataset_id, services)
    return sorted(set(squares.photograph[spared.numpy()].tolist()))


def held_out_squares(
    preset: str, config: Mapping[str, Any], squares: Squares, dataset_id: str, services: Services
) -> Tensor:
    """Which squares the run holds out, (N,) bool; the arguments are those of `holdout_rule`. Raises UnknownDataset."""
    return held_out(
        preset,
        config,
        torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(squares.type_index),
        len(squares.classes),
        torch.from_numpy(squares.holdout_units(config)),
        holdout_rule(config, squares, dataset_id, services),
    )
