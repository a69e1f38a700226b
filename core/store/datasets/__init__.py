"""Datasets: uploads become photographs of defect types, published in the artifact store."""

from flawsmith.core.store.datasets.ingestion import TooFewImages
from flawsmith.core.store.datasets.repository import Datasets, UnknownDataset

__all__ = ["Datasets", "TooFewImages", "UnknownDataset"]
