"""Whether a generator still makes the same images of known addresses: asked once in each environment."""

import hashlib
import logging

import torch

from flawsmith.core.domain.known_images import KnownImages, environment_name, known_addresses
from flawsmith.core.domain.quality_report import QualityReport
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.audit_log import AuditLog
from flawsmith.core.store.registry import Registry
from flawsmith.core.store.version_drift import known_images_of, save_known_images
from flawsmith.core.store.version_report import report_file
from flawsmith.models.inference.session import device_kind
from flawsmith.worker.image_sampler import ImageSampler

log = logging.getLogger(__name__)

CHANGED = "the images of known addresses changed"


def known_images(generator: ImageSampler, device: torch.device) -> KnownImages:
    """Samples one micro-batch, and takes its digest."""
    pixels = generator.sample_batch(known_addresses(generator.classes))
    environment = environment_name(device_kind(device), torch.__version__)
    return KnownImages(environment=environment, sha256=hashlib.sha256(pixels.tobytes()).hexdigest())


def check_known_images(
    generator: ImageSampler, version: ModelVersion, registry: Registry, device: torch.device
) -> None:
    """In an environment that is new to the version, compares its images with those of its report.

    Where they differ, says so in the log and in the audit log. It never keeps a worker from sampling.
    """
    folder = registry.folder(version)
    try:
        if environment_name(device_kind(device), torch.__version__) in known_images_of(folder):
            return
        found = known_images(generator, device)
        save_known_images(folder, found, registry.store.write_bytes)
        if changed_images(reported_images(registry, version), found):
            log.warning("drift of %s: %s in %s", version.ref, CHANGED, found.environment)
            AuditLog(registry.store).record(
                "drift", version=version.ref, reasons=[CHANGED], environment=found.environment
            )
    except (OSError, ValueError) as error:
        log.warning("cannot check the known images of %s: %s", version.ref, error)


def changed_images(reported: KnownImages | None, found: KnownImages) -> bool | None:
    """Whether the digests differ; None where the report has none."""
    return None if reported is None else reported.sha256 != found.sha256


def reported_images(registry: Registry, version: ModelVersion) -> KnownImages | None:
    """The digest in the version's report. Raises ValueError for a report that cannot be read."""
    try:
        report = QualityReport.model_validate_json(report_file(registry.folder(version)).read_bytes())
    except FileNotFoundError:
        return None
    return report.known_images
