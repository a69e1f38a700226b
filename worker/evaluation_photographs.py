"""The photographs of an evaluation: those of its dataset, of the types that its classifiers tell apart."""

import torch

from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.job_kinds.evaluation import EvaluationJob
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.models.evaluation.labelled_photographs import LabelledPhotographs


def load_evaluation_photographs(job: EvaluationJob, version: ModelVersion, services: Services) -> LabelledPhotographs:
    """Cut and scaled as the version's training saw its own. Raises UnknownDataset."""
    resolution, crop = version.resolution, crop_of(version.config)
    squares = services.datasets.load(job.dataset, resolution, crop)
    masks = services.datasets.load_masks(job.dataset, resolution, crop)
    types: list[str] = job.config["types"]
    place = torch.tensor([types.index(each) if each in version.classes else -1 for each in squares.classes])
    type_index = place[torch.from_numpy(squares.type_index)]
    kept = (type_index >= 0).nonzero().squeeze(1)  # a dataset may have types that the version does not make
    photographs = LabelledPhotographs(
        types,
        torch.from_numpy(squares.pixels).permute(0, 3, 1, 2)[kept].contiguous(),
        type_index[kept],
        torch.from_numpy(squares.photograph)[kept],
        [None if (mask := masks[each]) is None else torch.from_numpy(mask) for each in kept.tolist()],
    )
    if types == version.classes:
        return photographs
    clean = services.datasets.load_clean(job.dataset, resolution, crop)
    pixels = torch.from_numpy(clean.pixels).permute(0, 3, 1, 2)
    return LabelledPhotographs(
        types,
        torch.cat([photographs.images, pixels]),
        torch.cat([photographs.type_index, torch.full((len(pixels),), len(version.classes))]),
        torch.cat([photographs.photograph, torch.from_numpy(clean.photograph) + len(squares.files)]),
        [*photographs.masks, *[None] * len(pixels)],
    )
