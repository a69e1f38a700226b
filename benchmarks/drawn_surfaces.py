"""Compares drawn surfaces with photographs: a sheet of both, gray levels, spectra and directions.

    python -m benchmarks.drawn_surfaces [ARCHIVE ...] [--side 64] [--drawn 3000] [--seed 0] [--sheet SHEET.png]

Each archive has a folder for each type. For each type: the gray level and the contrast (standard deviation) of its
photographs, the mean radial spectrum as its rank among the spectra of drawn surfaces (0 … 1, so that 0 or 1 is out of
their range), and the share of each direction (30 degrees each, the first about level). The sheet shows 64 drawn ones on
the left and 64 photographs of all types on the right.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.photographs import load_photographs
from flawsmith.core.store.images import encode_png, grid
from flawsmith.models.drawn_surfaces import draw
from flawsmith.models.quality.orientation import dominant_directions

BINS = 6
COLUMNS = 8
FREQUENCIES = (1, 2, 4, 8, 16, 24, 32)  # periods in 64 pixels
PERCENTILES = (5, 50, 95)

Images = NDArray[np.uint8]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("archives", type=Path, nargs="*")
    options.add_argument("--side", type=int, default=64)
    options.add_argument("--drawn", type=int, default=3000)
    options.add_argument("--seed", type=int, default=0, help="of the first drawn surface")
    options.add_argument("--sheet", type=Path)
    given = options.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    drawn = np.stack([draw(given.seed + index, given.side, 1)[0] for index in range(given.drawn)])
    print(f"{1000 * (time.process_time() - began) / given.drawn:.2f} ms a picture of {given.side} px, one core")
    types = {name: images for archive in given.archives for name, images in _photographs(archive, given.side).items()}
    compare(drawn, types)
    if given.sheet:
        write_sheet(given.sheet, drawn, types)


def compare(drawn: Images, types: dict[str, Images]) -> None:
    """Prints the figures of the drawn surfaces, then of each type: (N, side, side) uint8."""
    spectra = spectrum(drawn)
    print(f"{'':18}{'gray level':>16}{'contrast':>16}  {'directions':30}  spectrum at {FREQUENCIES} of 64 pixels")
    _show("drawn", drawn, "")
    for name, images in types.items():
        ranks = (spectra < spectrum(images).mean(0)).mean(0)
        _show(name, images, " ".join(f"{rank:.2f}" for rank in ranks))


def spectrum(images: Images) -> NDArray[np.float32]:
    """Logarithm of the power at each of `FREQUENCIES`, over all directions: (N, len(FREQUENCIES)) float32."""
    side = images.shape[1]
    centred = images.astype(np.float32) - images.mean((1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(centred * np.outer(np.hanning(side), np.hanning(side)))) ** 2
    one = np.fft.fftfreq(side) * 64
    radius = np.rint(np.hypot(one[:, None], one))
    return np.stack([np.log(power[:, radius == each].mean(1) + 1e-3) for each in FREQUENCIES], 1).astype(np.float32)


def write_sheet(target: Path, drawn: Images, types: dict[str, Images]) -> None:
    """64 drawn surfaces, and beside them as many photographs, alternating between the types."""
    halves = [drawn[: COLUMNS**2]]
    if types:
        each = -(-(COLUMNS**2) // len(types))
        chosen = np.stack([images[:each] for images in types.values()], 1)
        halves.append(chosen.reshape(-1, *drawn.shape[1:])[: COLUMNS**2])
    grids = [grid([Image.fromarray(image) for image in half], COLUMNS) for half in halves]
    target.write_bytes(encode_png(grid(grids, len(grids), gap=12)))


def _show(name: str, images: Images, ranks: str) -> None:
    levels = "/".join(f"{value:.0f}" for value in np.percentile(images.mean((1, 2)), PERCENTILES))
    contrasts = "/".join(f"{value:.0f}" for value in np.percentile(images.std((1, 2)), PERCENTILES))
    directions, directed = dominant_directions(torch.from_numpy(images[:, None]))
    bins = ((directions[directed] + 90 / BINS) // (180 / BINS)).long() % BINS
    shares = torch.bincount(bins, minlength=BINS) / max(1, len(bins))
    print(f"{name:18}{levels:>16}{contrasts:>16}  {' '.join(f'{share:.2f}' for share in shares):30}  {ranks}")


def _photographs(archive: Path, side: int) -> dict[str, Images]:
    found = load_photographs(archive, None, side, training=None, holdout=0, seed=0)
    return {name: images.float().mean(1).round().byte().numpy() for name, images in found.training.items()}


if __name__ == "__main__":
    main()
