"""What drift checks found of a version, and the images of known addresses; with the version's results."""

import contextlib

from pydantic import ValidationError

from flawsmith.core.domain.drift import DriftCheck
from flawsmith.core.domain.known_images import KnownImages
from flawsmith.core.store.interface import Place
from flawsmith.core.store.version_results import Write, results_by_name, results_folder, save_result

_DRIFT, _KNOWN = "drift", "known-images"


def drift_job_file(folder: Place) -> Place:
    """Names the newest drift check of a version, and what it looks at; its time is that of the check.

    Args:
        folder: of the version, as `Registry.folder` gives it.
    """
    return results_folder(folder) / _DRIFT / "job.json"


def save_drift_job(folder: Place, job_id: str, newest: dict[str, int], write: Write) -> None:
    """Raises FileNotFoundError where the version was deleted."""
    save_result(folder, _DRIFT, "job", {"job": job_id, "newest": newest}, write)


def save_drift(folder: Place, check: DriftCheck, write: Write) -> None:
    """Keeps what the newest check found. Raises FileNotFoundError where the version was deleted."""
    save_result(folder, _DRIFT, "newest", check.model_dump(mode="json"), write)


def drift_of(folder: Place) -> DriftCheck | None:
    """What the newest check found; None without one that can be read."""
    try:
        return DriftCheck.model_validate_json((results_folder(folder) / _DRIFT / "newest.json").read_bytes())
    except (OSError, ValidationError):
        return None


def save_known_images(folder: Place, images: KnownImages, write: Write) -> None:
    """Keeps the digest in one environment. Raises FileNotFoundError where the version was deleted."""
    save_result(folder, _KNOWN, images.environment, images.model_dump(mode="json"), write)


def newest_environment_at(folder: Place) -> float:
    """When a digest was last kept, in Unix seconds; 0 without one."""
    return max((each.stat().st_mtime for each in (results_folder(folder) / _KNOWN).glob("[!.]*.json")), default=0.0)


def known_images_of(folder: Place) -> dict[str, KnownImages]:
    """The digests of a version, by environment; what cannot be read is left out."""
    found = {}
    with contextlib.suppress(OSError, ValueError):
        for name, each in results_by_name(folder, _KNOWN).items():
            found[name] = KnownImages.model_validate(each)
    return found
