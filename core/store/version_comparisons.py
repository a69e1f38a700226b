"""Comparisons of a version with others, on one data set each, and which jobs make them; with the version's results."""

from flawsmith.core.domain.version_comparison import VersionComparison
from flawsmith.core.store.interface import Place
from flawsmith.core.store.version_results import Write, results_folder, save_result

COMPARISONS = "comparisons"
_JOBS = "comparison-jobs"


def comparisons_folder(folder: Place) -> Place:
    """Where the comparisons of a version are.

    Args:
        folder: of the version, as `Registry.folder` gives it.
    """
    return results_folder(folder) / COMPARISONS


def comparison_file(folder: Place, other: int, dataset: str) -> Place:
    """The comparison with another version of the same model on a data set, as JSON, once it is there."""
    return comparisons_folder(folder) / f"{_name(other, dataset)}.json"


def comparison_job_file(folder: Place, other: int, dataset: str) -> Place:
    """Names the newest job that makes, or made, that comparison."""
    return results_folder(folder) / _JOBS / f"{_name(other, dataset)}.json"


def save_comparison(folder: Place, other: int, comparison: VersionComparison, write: Write) -> None:
    """Keeps a comparison in place of an earlier one. Raises FileNotFoundError where the version was deleted."""
    name = _name(other, comparison.dataset)
    save_result(folder, COMPARISONS, name, comparison.model_dump(mode="json"), write)


def save_comparison_job(folder: Place, other: int, dataset: str, job_id: str, write: Write) -> None:
    """Remembers the newest job of a comparison. Raises FileNotFoundError where the version was deleted."""
    save_result(folder, _JOBS, _name(other, dataset), {"job": job_id}, write)


def _name(other: int, dataset: str) -> str:
    return f"{other}-{dataset}"
