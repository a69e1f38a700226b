"""Prints how the severity of photographs ranks with the sizes of their defects, by type.

    python -m benchmarks.severity [PHOTOGRAPHS.zip [--boxes BOXES.json]] [--resolution 64]

Spearman's correlation of severities with the shares of the pictures that masks mark, or boxes: a JSON object with
[[left, top, right, bottom], …] in pixels by the name of a file without its ending. Then how often a photograph's
severity is above that of a texture without places, whether the card of a version would list the type without masks, and
the 5th and 95th percentile. Without an archive the demonstration set is rendered, whose defects are known to the pixel.
See docs/attributes.md.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flawsmith.core.demo_set import DEFECT_TYPES, draw_defect, render_picture
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.images.pixels import to_pixels
from flawsmith.models.quality.measured_attributes import (
    phases_randomized,
    rank_correlation,
    severity,
    severity_is_measurable,
    share_above,
)

RENDERED = 300  # pictures of each type of the demonstration set
VISIBLE = 15  # gray levels that a defect changes a pixel by, to count as a part of it

Sizes = list[float | None]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("photographs", type=Path, nargs="?")
    options.add_argument("--boxes", type=Path)
    options.add_argument("--resolution", type=int, default=64)
    given = options.parse_args()
    torch.set_num_threads(1)
    sets = (
        _loaded(given.photographs, given.boxes, given.resolution) if given.photographs else _rendered(given.resolution)
    )
    print("| type | photographs | rank correlation | above textures | listed | 5th and 95th percentile |")
    print("|---|---|---|---|---|---|")
    for name, images, sizes in sets:
        _show(name, images, sizes)


def _show(name: str, images: Tensor, sizes: Sizes) -> None:
    severities = severity(images)
    known = [index for index, size in enumerate(sizes) if size is not None]
    real = torch.tensor([size for size in sizes if size is not None], dtype=torch.float64)
    correlation = rank_correlation(severities[known], real) if known else float("nan")
    above = share_above(severities, severity(phases_randomized(images)))
    listed = "yes" if severity_is_measurable(images, [None] * len(images)) else "no"
    low, high = severities.quantile(torch.tensor([0.05, 0.95], dtype=torch.float64)).tolist()
    print(f"| {name} | {len(images)} | {correlation:.2f} | {above:.2f} | {listed} | {low:.2f} to {high:.2f} |")


def _loaded(archive: Path, boxes: Path | None, resolution: int) -> Iterator[tuple[str, Tensor, Sizes]]:
    with tempfile.TemporaryDirectory() as folder:
        datasets = Datasets(ArtifactStore(Path(folder)), Settings())
        dataset = datasets.add_archive("photographs", archive)[0]
        squares, masks = datasets.load(dataset.id, resolution), datasets.load_masks(dataset.id, resolution)
    images = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous()
    if boxes:
        side, known = dataset.size.max[0], json.loads(boxes.read_text())
        sizes: Sizes = [_boxed(known.get(Path(file).stem), side) for file in squares.files]
    else:
        sizes = [None if mask is None else float(mask.mean()) for mask in masks]
    for index, name in enumerate(squares.classes):
        members = np.flatnonzero(squares.type_index == index)
        yield name, images[members], [sizes[each] for each in members]


def _boxed(boxes: list[list[int]] | None, side: int) -> float | None:
    """The share of a photograph in its boxes."""
    marked = np.zeros((side, side), bool)
    for left, top, right, bottom in boxes or []:
        marked[top:bottom, left:right] = True
    return float(marked.mean()) if boxes else None


def _rendered(resolution: int) -> Iterator[tuple[str, Tensor, Sizes]]:
    for index, name in enumerate(DEFECT_TYPES):
        pictures, sizes = [], Sizes()
        for number in range(RENDERED):
            seed = [index, number]
            pictures.append(to_pixels(render_picture(name, np.random.default_rng(seed)), "L", resolution))
            sizes.append(float((np.abs(draw_defect(name, np.random.default_rng(seed))) > VISIBLE).mean()))
        yield name, torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), sizes


if __name__ == "__main__":
    main()
