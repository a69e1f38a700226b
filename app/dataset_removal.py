"""What is checked and deleted with a dataset."""

from flawsmith.app.problems import Problem
from flawsmith.core.domain.records import Dataset
from flawsmith.core.housekeeping import photographs
from flawsmith.core.services import Services

MOST_NAMED = 2048  # characters of a header


def check_unused(services: Services, dataset: Dataset) -> None:
    """Raises Problem 409 while an unfinished job uses the dataset."""
    users = services.jobs.unfinished_with(dataset.id)
    if users:
        raise Problem(
            409,
            "conflict",
            f"'{dataset.name}' is used by job {', '.join(users[:5])}; cancel it or wait until it ends",
        )


def delete_photographs(services: Services, dataset: Dataset) -> dict[str, str]:
    """Deletes the reference photographs that go with a dataset; see `housekeeping.photographs`.

    Returns:
        The header that names the versions.
    """
    affected = photographs.delete_photographs(services, dataset)
    named = ", ".join(affected)
    if len(named) > MOST_NAMED:
        named = f"{len(affected)} versions"
    return {"X-Affected-Versions": named} if affected else {}
