"""Datasets: uploads become photographs of defect types, published in the artifact store."""

from flawsmith.core.store.datasets.ingestion import TooFewImages
from flawsmith.core.store.datasets.repository import Datasets, NameTaken, Squares, UnknownDataset, UploadOptions
from flawsmith.core.store.datasets.selection import UnknownSplit

__all__ = ["Datasets", "NameTaken", "Squares", "TooFewImages", "UnknownDataset", "UnknownSplit", "UploadOptions"]
