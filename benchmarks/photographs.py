"""Loads photographs for a benchmark: those to train on, and a holdout."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from flawsmith.core.domain.records import Dataset
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets


@dataclass(frozen=True)
class Photographs:
    """The photographs trained on and the holdout, by type; (N, C, side, side) uint8 each."""

    dataset: Dataset
    training: dict[str, Tensor]
    holdout: dict[str, Tensor]


def load_photographs(
    path: Path, types: Sequence[str] | None, resolution: int, *, training: int | None, holdout: int, seed: int
) -> Photographs:
    """Photographs of a folder with one type, or of an archive with a folder for each type.

    Args:
        path: the folder or the archive.
        types: folders of the archive; None: all.
        resolution: side of the images, in pixels.
        training, holdout: photographs of each type; ``training`` None: all that are not held out.
        seed: decides which are held out and which are trained on.
    """
    with tempfile.TemporaryDirectory() as folder:
        datasets = Datasets(ArtifactStore(Path(folder)), Settings())
        if path.is_dir():
            dataset, _ = datasets.add_images(path.name, [(each.name, each) for each in sorted(path.iterdir())])
        else:
            dataset, _ = datasets.add_archive("photographs", path)
        squares = datasets.load(dataset.id, resolution)
    images = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous()
    random = torch.Generator().manual_seed(seed)
    trained_on, held_out = {}, {}
    for name in types or squares.classes:
        members = images[torch.from_numpy(squares.type_index) == squares.classes.index(name)]
        members = members[torch.randperm(len(members), generator=random)]
        held_out[name], others = members[:holdout], members[holdout:]
        trained_on[name] = others[:training]
    counts = {name: len(each) for name, each in trained_on.items()}
    selected = {"image_count": sum(counts.values()), "classes": counts, "distinct": counts, "crops": {}}
    return Photographs(dataset.model_copy(update=selected), trained_on, held_out)
