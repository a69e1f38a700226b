"""Datasets: uploads become photographs of defect types, published in the artifact store."""

from flawsmith.core.store.datasets.additions import NothingNew
from flawsmith.core.store.datasets.annotations import Annotations, Defect
from flawsmith.core.store.datasets.cutter import Squares
from flawsmith.core.store.datasets.ingestion import TooFewImages
from flawsmith.core.store.datasets.layout_options import KINDS, TYPE_SOURCES, CannotTell, LayoutOptions
from flawsmith.core.store.datasets.repository import Datasets, NameTaken, UnknownDataset
from flawsmith.core.store.datasets.selection import UnknownSplit
from flawsmith.core.store.datasets.upload_options import UploadOptions

__all__ = [
    "KINDS",
    "TYPE_SOURCES",
    "Annotations",
    "CannotTell",
    "Datasets",
    "Defect",
    "LayoutOptions",
    "NameTaken",
    "NothingNew",
    "Squares",
    "TooFewImages",
    "UnknownDataset",
    "UnknownSplit",
    "UploadOptions",
]
