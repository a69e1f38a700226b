"""The masks that a training job learns together with the images, and what its version's card says of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.core.domain.addresses import seeded
from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.job_kinds.training import TrainingJob
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import Health, HealthState, Labelling
from flawsmith.core.services import Services
from flawsmith.core.store.datasets.cutter import HALF_MARKED
from flawsmith.models.inference.latents import latent
from flawsmith.models.labels.features import FeatureMaps
from flawsmith.models.labels.masks import mask_of
from flawsmith.models.presets.registry import generator_with_weights
from flawsmith.models.quality.steps import Steps
from flawsmith.models.training.photograph_masks import PhotographMasks
from flawsmith.worker.label_sources import Ranges, ranges_by_type

WHITE = 255
LOOKED_AT = 64  # images of a version, whose masks are compared with the real ones
FEW_PLAUSIBLE = 0.25  # share of them: below it, most images with labels are redrawn three times and more


class NoMasks(Exception):
    """The squares that a job trains on show no defect with a mask; the message says what would be right."""


def learns_masks(config: dict[str, Any]) -> bool:
    """Whether a job of this configuration does."""
    return config.get("labels") == "mask"


def load_masks(dataset_id: str, config: dict[str, Any], services: Services) -> PhotographMasks | None:
    """Those of the squares that the job trains on; None where it learns none.

    Raises:
        UnknownDataset: the photographs were deleted.
        NoMasks: no square shows a defect with a mask.
    """
    if not learns_masks(config):
        return None
    side = config["resolution"]
    marks = services.datasets.load_marks(dataset_id, side, crop_of(config))
    if not any(each is not None and (each >= HALF_MARKED).any() for each in marks):
        raise NoMasks(
            "no square of the photographs shows a defect with a mask: defects lie outside of the squares, or are too "
            'small at this resolution; cut around annotations (crop {"around": "annotations"}), or leave \'labels\' out'
        )
    return _together(marks, side)


def masks_of_subset(masks: Sequence[Tensor | None], config: dict[str, Any]) -> PhotographMasks | None:
    """Those of photographs that were loaded with masks, (side, side) bool each, for a training again."""
    if not learns_masks(config):
        return None
    marks = [None if each is None else each.numpy().astype(np.uint8) * WHITE for each in masks]
    return _together(marks, config["resolution"])


def trained_labelling(
    job: TrainingJob, weights: Mapping[str, Tensor], dataset_digest: str, services: Services
) -> Steps[Labelling | None]:
    """How the job's version came to its masks; None where it learned none. Raises UnknownDataset.

    Args:
        job: of the training.
        weights: of the generator.
        dataset_digest: of the photographs.
        services: of this process.
    """
    if not learns_masks(job.config):
        return None
    dataset, crop, side = services.datasets.of_digest(dataset_digest), crop_of(job.config), job.config["resolution"]
    squares = services.datasets.load(dataset.id, side, crop)
    marks = services.datasets.load_marks(dataset.id, side, crop)
    known = [(place, each >= HALF_MARKED) for place, each in enumerate(marks) if each is not None]
    names = [squares.classes[squares.type_index[place]] for place, _ in known]
    ranges = ranges_by_type(squares.classes, [mask for _, mask in known], names)
    yield
    plausible = yield from _plausible_share(job, weights, ranges)
    return Labelling(
        job=job.id,
        source="training",
        masks=sum(services.datasets.masked_photographs(dataset).values()),
        boxes=0,
        plausible=plausible,
        ranges=ranges,
    )


def health_with_masks(health: Health, labelling: Labelling | None) -> Health:
    """The run's health: at best a warning where few masks are like the real ones."""
    if labelling is None or labelling.plausible is None or labelling.plausible >= FEW_PLAUSIBLE:
        return health
    state = HealthState.WARNING if health.state is HealthState.GOOD else health.state
    words = (
        f"{labelling.plausible:.0%} of the images' masks have the size and shape of the real ones, so that most images "
        "with labels are redrawn; train longer or on more masks, or label the version afterwards"
    )
    return Health(state=state, reasons=[*health.reasons, words])


def _plausible_share(job: TrainingJob, weights: Mapping[str, Tensor], ranges: Ranges) -> Steps[float]:
    """The share of the first images whose masks are plausible."""
    classes = job.config["classes"]
    generator = generator_with_weights(job.preset, job.config, len(classes), weights)
    maps, plausible = FeatureMaps(generator, torch.device("cpu")), 0
    for start in range(0, LOOKED_AT, MICRO_BATCH):
        addresses = seeded(classes, None, start, MICRO_BATCH)
        latents = torch.stack([latent(each.seed, each.defect_type, generator.latent_size) for each in addresses])
        types = torch.tensor([classes.index(each.defect_type) for each in addresses])
        made = maps.masks(latents, types).sigmoid().numpy()
        plausible += sum(mask_of(each, ranges[of.defect_type])[1] for each, of in zip(made, addresses, strict=True))
        yield
    return plausible / LOOKED_AT


def _together(marks: Sequence[NDArray[np.uint8] | None], side: int) -> PhotographMasks:
    unknown = np.zeros((side, side), np.uint8)
    pixels = np.stack([unknown if each is None else each for each in marks])[:, None]
    return PhotographMasks(torch.from_numpy(pixels), torch.tensor([each is not None for each in marks]))
