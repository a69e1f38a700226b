"""The scores of single images in the worker: made with a version's verdict, kept in a file, used while it samples."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from flawsmith.core.domain.addresses import Address
from flawsmith.core.store.interface import Place
from flawsmith.core.store.quality_floors import FILE, ImageScores, scores_file
from flawsmith.models.presets.registry import UnfitFiles
from flawsmith.models.quality.image_score import ImageScore, image_score
from flawsmith.models.quality.judgement import Sampler
from flawsmith.models.quality.judging import Calibration
from flawsmith.models.quality.small_network import SmallNetwork
from flawsmith.models.quality.steps import Steps

BATCH, BATCHES = 16, 4  # samples of each type that say how many images a floor refuses


def scoring(calibration: Calibration, sample: Sampler) -> Steps[ImageScores | None]:
    """What the images of the generator can be scored with, in steps; None where the photographs do not allow it."""
    found = image_score(calibration)
    yield
    if found is None:
        return None
    score, classes = found.score, calibration.photographs.classes
    samples = []
    for index in range(len(classes)):
        scores: list[float] = []
        for first in range(0, BATCH * BATCHES, BATCH):
            scores += score(sample(index, first, BATCH), [index] * BATCH)
            yield
        samples.append(np.sort(scores))
    return ImageScores(
        classes=classes,
        network=[each.numpy() for each in score.network.state()],
        scales=np.array(score.scales),
        photographs=[np.array(each) for each in found.photographs],
        samples=samples,
    )


class PublishedScore:
    """Scores images of one version.

    Args:
        folder: of the version.
        channels: of its images.

    Raises:
        FileNotFoundError: the version has nothing to score them with.
        UnfitFiles: what it has is for other images.
    """

    def __init__(self, folder: Place, channels: int) -> None:
        path = scores_file(folder)
        if path is None:
            raise FileNotFoundError(f"{FILE}: the version has nothing to score images with; make its report again")
        kept = ImageScores.load(path)
        try:
            network = SmallNetwork.load([torch.from_numpy(each) for each in kept.network])
        except ValueError as error:
            raise UnfitFiles(f"'{FILE}': {error}") from error
        if network.channels != channels:
            raise UnfitFiles(f"'{FILE}' is for other images")
        self.classes = kept.classes
        self._score = ImageScore(network, [(zero, one) for zero, one in kept.scales.tolist()])

    def __call__(self, addresses: Sequence[Address], pixels: NDArray[np.uint8]) -> list[float]:
        """The score of each of (B, H, W, C) images; NaN where the type has none. May be called from threads."""
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        return self._score(images, [self.classes.index(each.defect_type) for each in addresses])
