"""What callers may ask of a version's images, with how often its photographs and its samples are so."""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import torch

from flawsmith.core.domain.addresses import seeded
from flawsmith.core.domain.attributes import (
    ANGLE,
    BRIGHTNESS,
    DECIMALS,
    SEVERITY,
    Attribute,
    Range,
    RangeOfPhotographs,
    angle_attribute,
    brightness_attribute,
    severity_attribute,
)
from flawsmith.core.domain.job_kinds.training import TrainingJob
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.models.quality.measured_attributes import severity_is_measurable
from flawsmith.models.quality.property_shares import direction_ranges, share_by_direction
from flawsmith.models.quality.steps import Steps
from flawsmith.worker.attribute_search import MEASURES, measured_values
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.version_photographs import VersionPhotographs, load_photographs

BATCHES = 4  # samples of each type that are measured, in micro-batches
PERCENTILES = (5, 95)


def version_attributes(
    generator: ImageSampler, job: TrainingJob, dataset_digest: str, services: Services
) -> Steps[dict[str, Attribute]]:
    """The attributes that a job's generator takes, for the version's card, in steps.

    Where the photographs were deleted meanwhile, nothing is known of theirs, and no severity is listed.
    """
    photographs = None
    with suppress(UnknownDataset):
        photographs = load_photographs(dataset_digest, job.preset, job.config, services)
    yield
    found = {}
    if generator.takes_angles:
        found[ANGLE] = angle_attribute(_shares_by_direction(photographs) if photographs else {})
    reaches = yield from _reaches(generator)
    found[BRIGHTNESS] = brightness_attribute(reaches[BRIGHTNESS])
    if photographs and (measurable := _types_with_severity(photographs)):
        found[SEVERITY] = severity_attribute({name: reaches[SEVERITY][name] for name in measurable})
    return found


def _shares_by_direction(photographs: VersionPhotographs) -> dict[str, list[RangeOfPhotographs]]:
    shares = {}
    for each_type, name in enumerate(photographs.classes):
        found = share_by_direction(photographs.images[photographs.training(each_type)]).tolist()
        shares[name] = [
            RangeOfPhotographs(from_=low, to=high, photographs=round(share, 4))
            for (low, high), share in zip(direction_ranges(), found, strict=True)
        ]
    return shares


def _reaches(generator: ImageSampler) -> Steps[Mapping[str, dict[str, Range]]]:
    """For each measured attribute, from where to where the samples of each type have it."""
    reaches: dict[str, dict[str, Range]] = {name: {} for name in MEASURES}
    for defect_type in generator.classes:
        values: dict[str, list[float]] = {name: [] for name in MEASURES}
        for batch in range(BATCHES):
            addresses = seeded(generator.classes, defect_type, batch * MICRO_BATCH, MICRO_BATCH)
            for name, found in measured_values(set(MEASURES), generator.sample_batch(addresses)).items():
                values[name] += found
            yield
        for name, each in values.items():
            low, high = np.percentile(each, PERCENTILES).round(DECIMALS).tolist()
            reaches[name][defect_type] = (low, high)
    return reaches


def _types_with_severity(photographs: VersionPhotographs) -> list[str]:
    found = []
    for each_type, name in enumerate(photographs.classes):
        members = torch.cat([photographs.training(each_type), photographs.holdout(each_type)])
        masks = [photographs.masks[each] for each in members.tolist()]
        if severity_is_measurable(photographs.images[members], masks):
            found.append(name)
    return found
