"""Compositions: how fast, whether borders are those of photographs, and pictures to look at.

    python -m benchmarks.compositions speed [--seconds 20] [--processes 2]
    python -m benchmarks.compositions borders [--photographs 360] [--archive ARCHIVE --boxes BOXES.json]
    python -m benchmarks.compositions pictures FOLDER [--count 24] [--archive ARCHIVE --boxes BOXES.json]

Hosts are clean drawn surfaces of 1,024 pixels; defects are cut out of other drawn photographs of that size.
With an archive and its boxes: defects of photographs, on other photographs outside of their boxes.

speed: compositions of one to three defects, with the region of the part, coded as PNG with a PNG of the mask.

borders: each defect is measured in its own photograph and on a host (`benchmarks.border_statistics`). The photographs
are split into halves, 200 times. "real" is the distance (Kolmogorov-Smirnov) of the defects of one half to those of the
other, in their own photographs; "composed" is that of one half's compositions to the other half's photographs; "pasted"
is the same for a mask's pixels copied as they are. In brackets the 95th percentile. Masks that come from boxes are
found again in the composition, from a box: they follow the grain of the picture in which they were found.

pictures: N.png, N-host.png and N-mask.png at full size, and sheet.jpg: for each the host, the composition and the mask
around a defect.
"""

import argparse
import io
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.border_statistics import STATISTICS, border_statistics, kolmogorov_smirnov
from benchmarks.composition_sets import Host, boxed_set, drawn_host, drawn_patches
from flawsmith.core.store.images import grid
from flawsmith.models.compositions import (
    Composition,
    Patch,
    Placed,
    UnplaceableError,
    compose,
    mask_in_boxes,
    part_region,
)
from flawsmith.models.compositions.parts import Box

FIRST_PATCH, FIRST_HOST = 10_000, 20_000  # seeds
HOSTS = 24
SPLITS = 200
WAYS = ("real", "composed", "pasted")
LOOSE = 6  # pixels by which a box is larger than the defect in it
TILE, COLUMNS = 160, 9  # pixels of a square of the sheet; three squares for each composition
AROUND = 36  # pixels around a defect that are measured
PATCH_PHOTOGRAPHS = 54  # of the pictures
SPEED_PHOTOGRAPHS = 27


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = options.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("speed")
    speed.add_argument("--seconds", type=float, default=20)
    speed.add_argument("--processes", type=int, default=2)
    borders = commands.add_parser("borders")
    borders.add_argument("--photographs", type=int, default=120)
    pictures = commands.add_parser("pictures")
    pictures.add_argument("folder", type=Path)
    pictures.add_argument("--count", type=int, default=24)
    for each in (borders, pictures):
        each.add_argument("--archive", type=Path)
        each.add_argument("--boxes", type=Path)
    given = options.parse_args()
    if given.command == "speed":
        measure_speed(given.seconds, given.processes)
    elif given.command == "borders":
        measure_borders(*_set(given.archive, given.boxes, given.photographs))
    else:
        write_pictures(given.folder, given.count, *_set(given.archive, given.boxes, PATCH_PHOTOGRAPHS))


def measure_speed(seconds: float, processes: int) -> None:
    """Prints compositions a minute, by the clock and by the time of the processors."""
    with ProcessPoolExecutor(processes) as pool:
        found = list(pool.map(_made, [seconds] * processes, range(processes)))
    made, clock, busy = (sum(each[index] for each in found) for index in range(3))
    print(f"{60 * made / (clock / processes):.0f} compositions a minute by the clock, {processes} processes")
    print(
        f"{1000 * busy / made:.0f} ms of a core each: {60 * processes * made / busy:.0f} a minute on {processes} cores"
    )


def measure_borders(patches: Sequence[Patch], hosts: Sequence[Host]) -> None:
    """Prints a line for each statistic."""
    measured = [each for index, patch in enumerate(patches) if (each := _measured(patch, hosts, index)) is not None]
    print(f"{len(measured)} of {len(patches)} defects, {len({each.photograph for each in measured})} photographs")
    columns = {way: np.stack([each.ways[way] for each in measured]) for way in WAYS}
    halves = _halves([each.photograph for each in measured])
    print(f"{'':20}{'median: ' + ', '.join(WAYS):34}  distance: {', '.join(WAYS)}")
    for index, name in enumerate(STATISTICS):
        values = {way: column[:, index] for way, column in columns.items()}
        medians = "  ".join(f"{np.nanmedian(each):+.2f}" for each in values.values())
        distances = []
        for column in values.values():
            found = [kolmogorov_smirnov(column[half], values["real"][~half]) for half in halves]
            distances.append(f"{np.mean(found):.3f} ({np.percentile(found, 95):.3f})")
        print(f"{name:20}{medians:34}  {'   '.join(distances)}")


@dataclass(frozen=True)
class Measured:
    """A defect's statistics in its own photograph, composed and pasted; each (len(STATISTICS),)."""

    photograph: str
    ways: dict[str, NDArray[np.float64]]


def _measured(patch: Patch, hosts: Sequence[Host], seed: int) -> Measured | None:
    """None: the defect has no place on its host, or is not seen there."""
    host = hosts[seed % len(hosts)]
    try:
        made = compose(host.pixels, [patch], seed, per_image=(1, 1), region=host.region)
    except UnplaceableError:
        return None
    placed = made.placed[0]
    window = _around(placed, placed.mask.shape)
    unusable = None if host.region is None else ~host.region[window]
    pasted = host.pixels.copy()
    pasted[placed.mask] = patch.pixels[patch.mask]
    photograph = patch.source.split("#")[0]
    ways = {"real": border_statistics(patch.pixels, patch.mask, patch.others)}
    for way, pixels in (("composed", made.pixels), ("pasted", pasted)):
        mask = placed.mask if host.region is None else mask_in_boxes(pixels, [_grown(placed.box)])
        if not mask.any():
            return None
        ways[way] = border_statistics(pixels[window], mask[window], unusable)
    return Measured(photograph, ways)


def _halves(photographs: Sequence[str]) -> list[NDArray[np.bool_]]:
    """Random halves of the photographs, as which defects are in the first."""
    numbers = np.unique(photographs, return_inverse=True)[1]
    random = np.random.default_rng(0)
    return [(random.permutation(numbers.max() + 1) % 2 == 0)[numbers] for _ in range(SPLITS)]


def write_pictures(folder: Path, count: int, patches: Sequence[Patch], hosts: Sequence[Host]) -> None:
    """Writes compositions at full size and a sheet of their defects, and says what is on them."""
    folder.mkdir(parents=True, exist_ok=True)
    tiles: list[Image.Image] = []
    for seed in range(10 * count):
        host = hosts[seed % len(hosts)]
        try:
            made = compose(host.pixels, patches, seed, region=host.region)
        except UnplaceableError as error:
            print(f"{seed} ({host.name}): {error}")
            continue
        for name, pixels in (("", made.pixels), ("-host", host.pixels), ("-mask", made.mask)):
            Image.fromarray(pixels).save(folder / f"{seed}{name}.png")
        on_it = "; ".join(f"{each.defect_type} of {each.source} at {each.box}, {each.blend}" for each in made.placed)
        print(f"{seed} ({host.name}): {on_it}")
        tiles += _beside(host, made, made.placed[0])
        if len(tiles) >= 3 * count:
            break
    grid(tiles, COLUMNS, gap=2).save(folder / "sheet.jpg", quality=85)


def _beside(host: Host, made: Composition, placed: Placed) -> list[Image.Image]:
    """A square of the host, of the composition and of the mask around a defect, at the scale of their pixels."""
    x, y, width, height = placed.box
    side = min(TILE, *placed.host_shape)
    top, left = (
        min(max(0, at + length // 2 - side // 2), size - side)
        for at, length, size in ((y, height, placed.host_shape[0]), (x, width, placed.host_shape[1]))
    )
    square = slice(top, top + side), slice(left, left + side)
    shown = np.where(made.mask[square], np.uint8(255), np.uint8(0))
    return [Image.fromarray(each) for each in (host.pixels[square], made.pixels[square], shown)]


def _made(seconds: float, process: int) -> tuple[int, float, float]:
    """Compositions made, seconds by the clock and of the processor."""
    patches = drawn_patches(SPEED_PHOTOGRAPHS, FIRST_PATCH)
    hosts = [drawn_host(FIRST_HOST + index).pixels for index in range(8)]
    made, began, busy = 0, time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        host = hosts[made % len(hosts)]
        found = compose(host, patches, 1000 * process + made, region=part_region(host).mask)
        for pixels in (found.pixels, found.mask):
            Image.fromarray(pixels).save(io.BytesIO(), "PNG")
        made += 1
    return made, time.monotonic() - began, time.process_time() - busy


def _grown(box: Box) -> Box:
    x, y, width, height = box
    return x - LOOSE, y - LOOSE, width + 2 * LOOSE, height + 2 * LOOSE


def _around(placed: Placed, shape: tuple[int, ...]) -> tuple[slice, slice]:
    x, y, width, height = placed.box
    rows, columns = (
        slice(max(0, at - AROUND), min(size, at + length + AROUND))
        for at, length, size in ((y, height, shape[0]), (x, width, shape[1]))
    )
    return rows, columns


def _set(archive: Path | None, boxes: Path | None, photographs: int) -> tuple[list[Patch], list[Host]]:
    if archive and boxes:
        patches, hosts = boxed_set(archive, boxes, photographs)
        order = np.random.default_rng(0).permutation(len(hosts))
        return patches, [hosts[index] for index in order]
    hosts = [drawn_host(FIRST_HOST + index) for index in range(HOSTS)]
    return drawn_patches(photographs, FIRST_PATCH), hosts


if __name__ == "__main__":
    main()
