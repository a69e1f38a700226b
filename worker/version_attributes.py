"""What callers may ask of a version's images, with how often its photographs are so."""

from flawsmith.core.domain.attributes import ANGLE, Attribute, RangeOfPhotographs, angle_attribute
from flawsmith.core.domain.job_kinds.training import TrainingJob
from flawsmith.core.services import Services
from flawsmith.models.quality.property_shares import direction_ranges, share_by_direction
from flawsmith.worker.published_generator import PublishedGenerator
from flawsmith.worker.version_photographs import load_photographs


def version_attributes(
    generator: PublishedGenerator, job: TrainingJob, dataset_digest: str, services: Services
) -> dict[str, Attribute]:
    """The attributes that a job's generator takes, for the version's card.

    Raises:
        UnknownDataset: the photographs were deleted.
    """
    if not generator.takes_angles:
        return {}
    photographs = load_photographs(dataset_digest, job.preset, job.config, services)
    shares = {}
    for each_type, name in enumerate(photographs.classes):
        found = share_by_direction(photographs.images[photographs.training(each_type)]).tolist()
        shares[name] = [
            RangeOfPhotographs(from_=low, to=high, photographs=round(share, 4))
            for (low, high), share in zip(direction_ranges(), found, strict=True)
        ]
    return {ANGLE: angle_attribute(shares)}
