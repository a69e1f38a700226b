"""Archives of jobs: the answer with one, or why there is none."""

from fastapi import Request, Response

from flawsmith.app.conditional import NOT_MODIFIED, PARTIAL, etag_of, is_current, not_modified, ranged_file
from flawsmith.app.problems import Problem, Responses, documented
from flawsmith.core.domain.jobs import Job, JobKind, JobState
from flawsmith.core.services import Services
from flawsmith.core.store.export_files import HeldAddresses, addresses_file, archive_file
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel

ZIP: Responses = {200: {"content": {"application/zip": {}}}, **PARTIAL, **NOT_MODIFIED}


def archive_answers(*statuses: int) -> Responses:
    """The responses of a call that gives out an archive."""
    return documented(404, 416, *statuses, also=ZIP)


def archive_response(request: Request, folder: JobFolder, sha256: str, file_name: str) -> Response:
    """The archive of a job that has succeeded. `Range` continues a broken download."""
    etag = etag_of("export", sha256)
    if is_current(request, etag):
        return not_modified(etag)
    return ranged_file(archive_file(folder), etag=etag, media_type="application/zip", filename=file_name)


def why_no_archive(job: Job, kind: JobKind) -> str:
    """Why a job has no archive, and what would help."""
    again = f"POST {kind.path}/{job.id}/resume continues it"
    if not job.state.ended:
        progress = f"{job.progress.step} of {job.progress.total_steps} images are made"
        return f"the archive is not complete yet ({progress}); try again once the job has succeeded"
    if job.state is JobState.CANCELLED:
        return f"the {kind.name} was cancelled; {again}"
    return f"the {kind.name} failed: {job.error}. {again}"


def check_withdrawn(folder: JobFolder, services: Services) -> None:
    """Raises Problem 410 if the archive holds an image that was withdrawn since."""
    held = HeldAddresses.load(addresses_file(folder))
    for reference in held.versions:
        try:
            withdrawn = services.registry.withdrawn(services.registry.resolve(reference))
        except UnknownModel:  # the version was deleted, and what was withdrawn of it is forgotten
            continue
        if gone := held.among(reference, withdrawn):
            described = "; ".join(f"seed {each.seed} of '{each.defect_type}': {withdrawn[each]}" for each in gone[:5])
            listed = [{**each.to_json(), "reason": withdrawn[each]} for each in gone[:100]]
            detail = f"since this archive was made an operator withdrew {described}; make it anew without them"
            raise Problem(410, "withdrawn", detail, withdrawn=listed)
