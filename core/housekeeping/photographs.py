"""What goes with the photographs of a dataset."""

from flawsmith.core.domain.records import Dataset
from flawsmith.core.services import Services
from flawsmith.core.store.reference_photographs import delete_references


def delete_photographs(services: Services, dataset: Dataset) -> list[str]:
    """Deletes the reference photographs of versions trained on a dataset or on one that it continues.

    Those stay whose photographs another dataset has: one of the same content, or one that continues it.

    Returns:
        The versions, such as ``scratches@2``.
    """
    others = [each for each in services.datasets.list() if each.id != dataset.id]
    held = {digest for each in others for digest in _contents(each)}
    versions = [version for digest in _contents(dataset) - held for version in services.registry.trained_on(digest)]
    return [each.ref for each in versions if delete_references(services.registry.folder(each))]


def _contents(dataset: Dataset) -> set[str]:
    """The digests of a dataset and of all that it continues: it has their photographs."""
    return {dataset.digest, *(each.digest for each in dataset.lineage)}
