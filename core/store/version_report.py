"""The quality report of a version: its JSON, its page, and which job makes it. It lies with the version's results."""

from flawsmith.core.store.interface import Place
from flawsmith.core.store.version_results import Write, results_folder, save_result

REPORT = "report"


def report_file(folder: Place) -> Place:
    """The report as JSON; it is there once there is a report.

    Args:
        folder: of the version, as `Registry.folder` gives it.
    """
    return results_folder(folder) / REPORT / "report.json"


def page_file(folder: Place) -> Place:
    """The report as a page, written before the JSON."""
    return results_folder(folder) / REPORT / "report.html"


def job_file(folder: Place) -> Place:
    """Names the newest job that makes, or made, the report."""
    return results_folder(folder) / REPORT / "job.json"


def save_report(folder: Place, report: dict[str, object], page: str, write: Write) -> None:
    """Keeps a version's report in place of an earlier one.

    Raises:
        FileNotFoundError: there is no such version any more.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no version in {folder}")
    write(page_file(folder), page.encode())
    save_result(folder, REPORT, "report", report, write)


def save_report_job(folder: Place, job_id: str, write: Write) -> None:
    """Remembers the newest report job of a version. Raises FileNotFoundError where it was deleted."""
    save_result(folder, REPORT, "job", {"job": job_id}, write)
