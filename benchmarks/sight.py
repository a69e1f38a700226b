"""Measures whether the verdict's feature spaces see a defect: photographs against the same ones without it.

    python -m benchmarks.sight [--photographs ARCHIVE --type scratches] [--small 3]

Prints, for each space, the energy distance of photographs to photographs without their defects in units of its own
spread over 20 splits (z; 0: sees nothing). Defects are wiped out by mask where there is one, else by a guessed mask,
and by a median filter. Spaces that learn do so on every second photograph, and are measured on the others. Without an
archive the set is drawn: grain with one spot of the given size in pixels, and its mask.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.models.quality.calibration import energy_distance_z
from flawsmith.models.quality.controls import REMOVED, SMOOTHED
from flawsmith.models.quality.judgement import JudgedPhotographs, calibrate
from flawsmith.models.quality.space_registry import SPACES

SIDE = 64
DRAWN = 200  # photographs of the drawn set


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photographs", type=Path, help="an archive with a folder for each type")
    options.add_argument("--type", default="scratches")
    options.add_argument("--small", type=int, default=3, help="size of the drawn defects, in pixels")
    given = options.parse_args()
    torch.set_num_threads(1)
    if given.photographs:
        images = load(given.photographs, given.type)
        masks: list[Tensor | None] = [None] * len(images)
        print(f"{len(images)} photographs of '{given.type}', {SIDE} px, masks guessed")
    else:
        images, drawn = with_spots(DRAWN, given.small)
        masks = list(drawn)
        print(f"{len(images)} drawn photographs with a defect of {given.small} px and its mask, {SIDE} px")
    _show(images, masks)


def _show(images: Tensor, masks: list[Tensor | None]) -> None:
    calibration = calibrate(JudgedPhotographs(["all"], [images], [images[:0]], [masks], [[]]))
    [photographs], fold = calibration.types, calibration.folds[0]
    members = fold.pools[0].members
    print(f"{'space':16}{'z ' + REMOVED:>24}{'z ' + SMOOTHED:>28}")
    for space in SPACES:
        features = calibration.spaces[space.name][0].features
        own = features(photographs.images[members])
        figures = [
            energy_distance_z(own, features(photographs.controls[name][members])) for name in (REMOVED, SMOOTHED)
        ]
        print(f"{space.name:16}{figures[0]:24.1f}{figures[1]:28.1f}", flush=True)


def with_spots(count: int, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Grain with a darker spot: (count, 1, SIDE, SIDE) uint8, and masks (count, SIDE, SIDE) bool."""
    random = torch.Generator().manual_seed(seed)
    coarse = F.interpolate(torch.randn(count, 1, 8, 8, generator=random), size=SIDE, mode="bicubic")
    fine = F.avg_pool2d(torch.randn(count, 1, SIDE + 2, SIDE + 2, generator=random), 3, 1)
    images = 130 + 12 * torch.randn(count, 1, 1, 1, generator=random) + 10 * coarse + 18 * fine
    images += 3 * torch.randn(images.shape, generator=random)
    masks = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    places = torch.randint(4, SIDE - 4 - size, (count, 2), generator=random)
    for image, mask, (top, left) in zip(images, masks, places.tolist(), strict=True):
        mask[top : top + size, left : left + size] = True
        image[0, mask] -= 45
    return images.round().clamp(0, 255).byte(), masks


def load(path: Path, name: str, side: int = SIDE) -> Tensor:
    """The photographs of one type in an archive: (N, C, side, side) uint8."""
    with tempfile.TemporaryDirectory() as folder:
        datasets = Datasets(ArtifactStore(Path(folder)), Settings())
        dataset, _ = datasets.add_archive("photographs", path)
        squares = datasets.load(dataset.id, side)
    images = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous()
    return images[torch.from_numpy(squares.type_index) == squares.classes.index(name)]


if __name__ == "__main__":
    main()
