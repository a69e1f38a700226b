"""Calls about datasets: upload, list, look at and delete photographs."""

from collections.abc import Callable
from contextlib import ExitStack

from flawsmith.client.commands import Flow, Request, work
from flawsmith.client.operations import Calls, given, iterates, new_key, operation, part, record
from flawsmith.client.pages import pages
from flawsmith.client.records import Dataset
from flawsmith.client.retries import repeated
from flawsmith.client.uploads import Source, opened_files, suggested_name

OnBytes = Callable[[int, int], None]
"""Is told how many bytes are done, and of how many. A repeated call begins at 0 again."""

INGEST_SECONDS = 600.0  # the service answers an upload when it has decoded all of it


class DatasetCalls(Calls):
    """Photographs of defects."""

    @operation
    def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        replace: bool = False,
        split: str | None = None,
        layout: str | None = None,
        class_from: str | None = None,
        clean: str | None = None,
        on_progress: OnBytes | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Dataset]:
        """Uploads photographs; the same content under the same name is the same dataset.

        Args:
            source: a folder (its folders name the defect types), an archive (zip, tar, tar.gz), or picture files.
            name: of the dataset; None: that of the folder or file.
            replace: delete the dataset of this name that has other content.
            split, layout, class_from, clean: how to read the upload; None: by what the files say (docs/datasets.md).
            on_progress: is told the bytes sent, and all bytes.

        Raises:
            ValueError: the folder has no file, or a name is needed.
            OSError: a file cannot be read.
            CannotTell: the upload can be read in several ways.
            NoUsableImages: fewer than two usable photographs.
        """
        fields = _fields(replace, name=name or suggested_name(source), split=split, layout=layout)
        fields |= given(class_from=class_from, clean=clean)
        return (yield from _uploaded(self, "/datasets", source, fields, on_progress, idempotency_key))

    @operation
    def add_photographs(
        self,
        dataset: str | Dataset,
        source: Source,
        *,
        name: str | None = None,
        replace: bool = False,
        split: str | None = None,
        layout: str | None = None,
        class_from: str | None = None,
        clean: str | None = None,
        on_progress: OnBytes | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Dataset]:
        """Makes a new dataset: the photographs of this one, then those of the upload that it does not have.

        Args:
            dataset: that is continued; it stays as it is.
            source: as of `upload`.
            name: of the new dataset; None: the service names it, such as ``steel-2``.
            replace: delete the dataset of this name, which may be the one that is continued.
            split, layout, class_from, clean, on_progress: as of `upload`.

        Raises:
            NothingNew: each photograph is there already.
            ValueError, OSError, CannotTell: as of `upload`.
        """
        fields = _fields(replace, name=name, split=split, layout=layout) | given(class_from=class_from, clean=clean)
        path = f"{_path(dataset)}/photographs"
        return (yield from _uploaded(self, path, source, fields, on_progress, idempotency_key))

    @iterates(Dataset)
    def datasets(self) -> Flow[None]:
        """All datasets, newest first."""
        yield from pages(self._get, "/datasets", Dataset.read)

    @operation
    def dataset(self, dataset: str) -> Flow[Dataset]:
        """One dataset, by its id or name. Raises NotFound."""
        return record(Dataset.read, (yield from self._get(_path(dataset))))

    @operation
    def preview(self, dataset: str | Dataset) -> Flow[bytes]:
        """A contact sheet with a row for each type, a PNG."""
        return (yield from self._get(f"{_path(dataset)}/preview.png")).content

    @operation
    def delete_dataset(self, dataset: str | Dataset) -> Flow[None]:
        """Deletes a dataset, and the reference photographs of the versions trained on it. Raises Conflict."""
        yield from self._change("DELETE", _path(dataset))


def _fields(replace: bool, **texts: str | None) -> dict[str, str]:
    return {**given(**texts), **({"replace": "true"} if replace else {})}


def _uploaded(
    calls: Calls, path: str, source: Source, fields: dict[str, str], on_progress: OnBytes | None, key: str | None
) -> Flow[Dataset]:
    with ExitStack() as stack:
        request = Request(
            method="POST",
            path=path,
            fields=fields,
            files=(yield from work(lambda: opened_files(source, on_progress, stack))),
            headers={"Idempotency-Key": key or new_key()},
            silence=INGEST_SECONDS,
        )
        answer = yield from repeated(calls.retry_policy, request)
    return record(Dataset.read, answer)


def _path(dataset: str | Dataset) -> str:
    return f"/datasets/{part(dataset.id if isinstance(dataset, Dataset) else dataset)}"
