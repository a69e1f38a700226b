"""Cuts a dataset of one type, in colour, out of the CrackForest photographs of asphalt (Shi et al. 2016).

    python -m benchmarks.crack_squares CrackForest cracks.zip

`CrackForest` is a checkout of github.com/cuilimeng/CrackForest-dataset: 118 photographs of 480 x 320 pixels with the
pixels of their cracks. Of each, at most three squares that do not overlap and show a crack are kept.
"""

import argparse
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.io import loadmat

SIDE = 160  # pixels
LEAST = 150  # pixels of crack in a square
MOST = 3  # squares of a photograph
CRACK = 2  # its value in the segmentation


def squares(folder: Path, random: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    """Names and squares, those with the longest crack of each photograph first."""
    for file in sorted(folder.glob("groundTruth/*.mat")):
        crack = loadmat(file)["groundTruth"][0, 0]["Segmentation"] == CRACK
        image = Image.open(folder / "image" / f"{file.stem}.jpg").convert("RGB")
        for left, top in _corners(crack, random)[:MOST]:
            yield f"{file.stem}-{left}-{top}", image.crop((left, top, left + SIDE, top + SIDE))


def _corners(crack: npt.NDArray[np.bool_], random: np.random.Generator) -> list[tuple[int, int]]:
    """Left and top of the squares with a crack, on a grid with a random offset."""
    height, width = crack.shape
    columns, rows = width // SIDE, height // SIDE
    left, top = (int(random.integers(0, rest + 1)) for rest in (width - columns * SIDE, height - rows * SIDE))
    corners = [(left + SIDE * x, top + SIDE * y) for y in range(rows) for x in range(columns)]
    pixels = {(x, y): int(crack[y : y + SIDE, x : x + SIDE].sum()) for x, y in corners}
    return sorted((each for each in corners if pixels[each] >= LEAST), key=lambda each: -pixels[each])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("out", type=Path)
    given = options.parse_args()
    with zipfile.ZipFile(given.out, "w") as archive:
        for name, square in squares(given.folder, np.random.default_rng(0)):
            data = BytesIO()
            square.save(data, "PNG")
            archive.writestr(f"cracks/{name}.png", data.getvalue())


if __name__ == "__main__":
    main()
