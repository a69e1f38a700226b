"""What is checked and deleted with a dataset."""

from flawsmith.app.problems import Problem
from flawsmith.core.domain.records import Dataset
from flawsmith.core.services import Services
from flawsmith.core.store.reference_photographs import delete_references

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
    """Deletes the reference photographs of versions trained on a dataset or on one that it continues.

    Those stay whose photographs another dataset has: one of the same content, or one that continues it.

    Returns:
        The header that names the versions.
    """
    others = [each for each in services.datasets.list() if each.id != dataset.id]
    held = {digest for each in others for digest in _contents(each)}
    versions = [version for digest in _contents(dataset) - held for version in services.registry.trained_on(digest)]
    affected = [each.ref for each in versions if delete_references(services.registry.folder(each))]
    named = ", ".join(affected)
    if len(named) > MOST_NAMED:
        named = f"{len(affected)} versions"
    return {"X-Affected-Versions": named} if affected else {}


def _contents(dataset: Dataset) -> set[str]:
    """The digests of a dataset and of all that it continues: it has their photographs."""
    return {dataset.digest, *(each.digest for each in dataset.lineage)}
