"""What a report looks at: a version's photographs, and samples at addresses of their own."""

from collections.abc import Iterator

import torch
from torch import Tensor

from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.quality_floors import ImageScores, scores_file
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.published_generator import PublishedGenerator
from flawsmith.worker.reports.analysis import Judged
from flawsmith.worker.start import start_generator
from flawsmith.worker.stored_tensors import load_tensors
from flawsmith.worker.verdict import load_judgement, sampler
from flawsmith.worker.version_photographs import VersionPhotographs, load_version_photographs
from flawsmith.worker.version_sampler import load_sampler, unusable_if_unfit

FIRST_SEED = 1_000_000  # far from the seeds that the verdict looked at: a report's samples are fresh
FEWEST_SAMPLES = 100  # of a type
MOST_SAMPLES = 2000  # of all types together


class Material:
    """The images of a report, loaded and sampled when they are needed first.

    Args:
        version: a published version.
        services: of this process.
        device: where it samples.
    """

    def __init__(self, version: ModelVersion, services: Services, device: torch.device) -> None:
        self.version, self._services, self._device = version, services, device
        self.scores: ImageScores | None = None  # once the version was judged here
        self._photographs: VersionPhotographs | None = None
        self._generator: ImageSampler | None = None
        self._samples: list[list[Tensor]] = [[] for _ in version.classes]

    @property
    def classes(self) -> list[str]:
        return self.version.classes

    @property
    def photographs(self) -> VersionPhotographs:
        """Raises UnknownDataset."""
        if self._photographs is None:
            self._photographs = load_version_photographs(self.version, self._services)
        return self._photographs

    @property
    def generator(self) -> ImageSampler:
        if self._generator is None:
            self._generator = load_sampler(self.version, self._services.registry, self._device)
        return self._generator

    @property
    def start(self) -> PublishedGenerator | None:
        """The generator that the version's training started from, see `start_generator`."""
        if not self.version.has_networks:
            return None
        weights = self._services.registry.weights(self.version.model, self.version.version)
        with unusable_if_unfit(self.version):
            return start_generator(load_tensors(weights), self.version.model_dump(), self._services, self._device)

    @property
    def has_scores(self) -> bool:
        """Whether the version has something to score its images with."""
        return scores_file(self._services.registry.folder(self.version)) is not None

    @property
    def judgement(self) -> Judged | None:
        """What the version's verdict was made of, if that was kept."""
        return load_judgement(self._services.registry.folder(self.version))

    def training(self, each_type: int) -> Tensor:
        """Photographs of a type that were trained on, (N, C, side, side) uint8."""
        return self.photographs.images[self.photographs.training(each_type)]

    def holdout(self, each_type: int) -> Tensor:
        """Photographs of a type that were held out, (K, C, side, side) uint8."""
        return self.photographs.images[self.photographs.holdout(each_type)]

    def of_type(self, each_type: int) -> Tensor:
        """All photographs of a type, (N, C, side, side) uint8."""
        return self.photographs.images[self.photographs.type_index == each_type]

    def sample_count(self, each_type: int) -> int:
        """As many samples as there are photographs of the type, within bounds."""
        photographs = int((self.photographs.type_index == each_type).sum())
        return max(FEWEST_SAMPLES, min(photographs, MOST_SAMPLES // len(self.classes)))

    def samples(self, each_type: int) -> Tensor:
        """The samples of a type, of the seeds from `FIRST_SEED` on, (M, C, side, side) uint8."""
        for _ in self.sampling(each_type):
            pass
        return torch.cat(self._samples[each_type])

    def sampling(self, each_type: int) -> Iterator[None]:
        """Samples what `samples` still lacks of a type; yields after each micro-batch."""
        made, count = self._samples[each_type], self.sample_count(each_type)
        while (done := len(made) * MICRO_BATCH) < count:
            made.append(self.sample(each_type, FIRST_SEED + done, min(MICRO_BATCH, count - done)))
            yield

    def sample(self, each_type: int, first_seed: int, count: int) -> Tensor:
        """Samples at addresses of a type, (count, C, side, side) uint8: the judge's `Sampler`."""
        batch, end = sampler(self.generator), first_seed + count
        starts = range(first_seed, end, MICRO_BATCH)
        return torch.cat([batch(each_type, start, min(MICRO_BATCH, end - start)) for start in starts])
