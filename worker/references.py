"""Writes the reference photographs of a model version, which the API compares images with."""

from pathlib import Path

from flawsmith.core.store.reference_photographs import FILE, ReferencePhotographs
from flawsmith.worker.version_photographs import VersionPhotographs


def save_references(photographs: VersionPhotographs, folder: Path) -> None:
    """Writes the references of the photographs that were trained on into a version's folder."""
    trained_on = (~photographs.held_out).nonzero().squeeze(1)
    pixels = photographs.images[trained_on].permute(0, 2, 3, 1).numpy()
    type_index = photographs.type_index[trained_on].numpy()
    files = [photographs.files[each] for each in trained_on.tolist()]
    ReferencePhotographs.of(pixels, type_index, photographs.classes, files).save(folder / FILE)
