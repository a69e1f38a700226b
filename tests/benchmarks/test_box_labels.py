"""Photographs with boxes become an upload, and its squares know what is in the boxes."""

import io
import zipfile
from pathlib import Path

import numpy as np
from benchmarks.box_labels import write_coco
from benchmarks.small_generators import SIDE, crops_of_archive
from PIL import Image

from flawsmith.core.domain.crops import Around

NAMES = ("scratches_1", "scratches_2", "scratches_3")
BOXES = {
    "scratches_1": [[10, 20, 40, 30], [50, 60, 90, 100]],
    "scratches_2": [[0, 0, 100, 50]],
    "pits_1": [[1, 1, 9, 9]],
}


def test_boxes_of_one_type_become_targets(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photographs.zip", "w") as archive:
        for number, name in enumerate((*NAMES, "pits_1")):
            random = np.random.default_rng(number)
            held = io.BytesIO()
            Image.fromarray(random.integers(0, 255, (100, 100)).astype(np.uint8)).save(held, "PNG")
            archive.writestr(f"set/{name.split('_')[0]}/{name}.png", held.getvalue())
    assert write_coco(tmp_path / "coco.zip", tmp_path / "photographs.zip", BOXES, "scratches") == 3
    crops = crops_of_archive(tmp_path / "coco.zip", Around.MIDDLE, 0, 160, boxes=True)
    assert crops.types == ["scratches"]
    assert crops.images.shape == (2, 1, SIDE, SIDE)  # one has no box, one is of another type
    shares = sorted(crops.masks.float().mean((1, 2)).tolist())
    assert np.allclose(shares, [0.19, 0.5], atol=0.02)
