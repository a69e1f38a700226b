"""The note and the tags of a job go to the version that it publishes."""

import logging
from typing import Any

from flawsmith.core.domain.jobs import Job
from flawsmith.core.services import Services
from flawsmith.core.store.registry import UnknownModel

log = logging.getLogger(__name__)


def inherit_remarks(job: Job, fields: dict[str, Any], services: Services) -> None:
    """Gives the version that a job has just published, if it has, the job's remarks.

    The job may finish again after a lost worker; a version that has remarks keeps them. Remarks are no reason for a job
    to fail.

    Args:
        job: as it is now.
        fields: of its result.
        services: of this process.
    """
    if (produced := fields.get("produced")) is None:
        return
    try:
        services.registry.remarks.inherit(services.registry.resolve(produced), job.remarks)
    except (OSError, UnknownModel) as error:
        log.error("job %s: its note and tags are not with %s: %s", job.id, produced, error)
