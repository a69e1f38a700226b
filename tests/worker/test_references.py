"""A version's references are the photographs that it was trained on, without those that were held out."""

from pathlib import Path

import numpy as np
import torch

from flawsmith.core.store.reference_photographs import FILE, ReferencePhotographs
from flawsmith.worker.references import save_references
from flawsmith.worker.version_photographs import VersionPhotographs


def test_held_out_photographs_are_no_references(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (8, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    photographs = VersionPhotographs(
        classes=["dents", "pits"],
        images=images,
        type_index=torch.arange(8) % 2,
        held_out=torch.arange(8) >= 6,
        files=[f"{number}.png" for number in range(8)],
        masks=[None] * 8,
    )
    save_references(photographs, tmp_path)
    references = ReferencePhotographs.load(tmp_path / FILE)
    assert references.files == [f"{number}.png" for number in range(6)]
    pixels = list(images.permute(0, 2, 3, 1).numpy())
    found = references.nearest(pixels, ["dents", "pits"] * 4)
    assert [each.file for each in found[:6]] == references.files
    assert [each.distance for each in found[:6]] == [0.0] * 6
    assert min(each.distance for each in found[6:]) > 1
    assert {name: len(own) for name, own in references.own_distances.items()} == {"dents": 3, "pits": 3}
    assert np.isfinite(references.own_distances["pits"]).all()
