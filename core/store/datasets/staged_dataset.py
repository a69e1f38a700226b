"""Fills the staged folder of a dataset with what becomes of an upload."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from flawsmith.core.domain.records import Dataset
from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import Member
from flawsmith.core.store.datasets.additions import extend, save_fingerprints
from flawsmith.core.store.datasets.dataset_folder import NEW, DatasetFolder, StagedDatasetFolder
from flawsmith.core.store.datasets.ingestion import Ingestion, Upload
from flawsmith.core.store.datasets.summary import summarise, summarise_addition
from flawsmith.core.store.datasets.upload_options import UploadOptions


@dataclass(frozen=True)
class UploadedFiles:
    """The files of an upload, how many bytes were sent, and what the caller says of them."""

    members: Iterable[Member]
    sent_bytes: int
    options: UploadOptions


def stage(name: str, files: UploadedFiles, staged: Path, settings: Settings) -> Dataset:
    """Makes a dataset of the files in an empty folder; returns its record. Raises what `Ingestion.run` raises."""
    upload = _ingested(name, files, staged, settings)
    dataset = summarise(name, upload)
    StagedDatasetFolder(staged).complete(dataset, upload)
    return dataset


def stage_behind(
    parent: Dataset, folder: DatasetFolder, name: str, files: UploadedFiles, staged: Path, settings: Settings
) -> Dataset:
    """Makes a dataset of the photographs of a parent and the new ones of the files; returns its record.

    Photographs of which nothing names a type are of the parent's only type, else of one that is named as the parent.

    Raises:
        NothingNew: the parent has all of the photographs.
        FileNotFoundError: the parent was deleted meanwhile.
    """
    unnamed = next(iter(parent.classes)) if len(parent.classes) == 1 else parent.name
    upload = _ingested(unnamed, files, staged, settings, parent.classes)
    addition = extend(parent, folder, upload, staged / NEW, files.options.abandoned)
    dataset = summarise_addition(name, addition)
    StagedDatasetFolder(staged).complete(dataset, addition.upload, folder)
    save_fingerprints(addition, staged)
    return dataset


def _ingested(
    unnamed: str, files: UploadedFiles, staged: Path, settings: Settings, known_types: Collection[str] | None = None
) -> Upload:
    (staged / NEW).mkdir()
    options = files.options
    return Ingestion(
        unnamed,
        staged / NEW,
        settings,
        files.sent_bytes,
        options.split,
        options.layout,
        options.abandoned,
        known_types,
    ).run(files.members)
