"""The image that a caller sent as the background of a composition job, in the job's folder."""

from flawsmith.core.store.interface import Place
from flawsmith.core.store.job_folder import JobFolder

FILE = "background.png"


def background_file(folder: JobFolder) -> Place:
    """Where the decoded image is, as long as the job's record is."""
    return folder.path / FILE
