"""Prints the similarity of photographs that a version never saw, and of damaged copies of those that it was trained on.

    python -m benchmarks.similarity PHOTOGRAPHS.zip [--types scratches …] [--resolution 64]

Every tenth photograph of a type is left out of the references. The table helps to choose `max_similarity`: a value
refuses copies as far as it is below their similarities, and no more than it has to as far as it is above those of the
photographs that were left out.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.reference_photographs import ReferencePhotographs

LEFT_OUT = 10  # every so many photographs, one
DAMAGED = 60  # photographs
SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)

Pixels = NDArray[np.uint8]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("photographs", type=Path)
    options.add_argument("--types", nargs="+", help="folders of the archive; default: all")
    options.add_argument("--resolution", type=int, default=64)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        datasets = Datasets(ArtifactStore(Path(folder)), Settings())
        squares = datasets.load(datasets.add_archive("photographs", given.photographs)[0].id, given.resolution)
    print("| type | images | least | 10 % | median | 90 % | most |\n|---|---|---|---|---|---|---|")
    for name in given.types or squares.classes:
        _show(name, squares.pixels[squares.type_index == squares.classes.index(name)])


def _show(name: str, photographs: Pixels) -> None:
    """Prints the rows of a type, whose photographs are (N, side, side, C)."""
    left_out = np.arange(len(photographs)) % LEFT_OUT == 0
    known = photographs[~left_out]
    references = ReferencePhotographs.of(known, np.zeros(len(known), np.int64), [name], [""] * len(known))
    for images, pixels in {"photographs left out": photographs[left_out], **_damaged(known[:DAMAGED])}.items():
        found = [each.similarity for each in references.nearest(list(pixels), [name] * len(pixels))]
        print(f"| {name} | {images} | {' | '.join(f'{each:.2f}' for each in np.quantile(found, SHARES))} |")


def _damaged(photographs: Pixels) -> dict[str, Pixels]:
    random = np.random.default_rng(0)

    def noisy(levels: float) -> Pixels:
        noise = random.normal(0, levels, photographs.shape)
        return np.clip(photographs + noise, 0, 255).astype(np.uint8)

    def blurred(radius: float) -> Pixels:
        images = [Image.fromarray(each.squeeze(-1) if each.shape[-1] == 1 else each) for each in photographs]
        filtered = [np.asarray(each.filter(ImageFilter.GaussianBlur(radius))) for each in images]
        return np.stack(filtered).reshape(photographs.shape)

    return {
        "copies, turned": np.rot90(photographs, axes=(1, 2)),
        "copies, noise of 5 levels": noisy(5),
        "copies, noise of 10 levels": noisy(10),
        "copies, blurred by 1 px": blurred(1),
        "copies, shifted by 1 px": np.roll(photographs, (1, 1), (1, 2)),
        "copies, shifted by 2 px": np.roll(photographs, (2, -2), (1, 2)),
        "copies, shifted by 3 px": np.roll(photographs, (3, 3), (1, 2)),
    }


if __name__ == "__main__":
    main()
