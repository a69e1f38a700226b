"""Defects and clean photographs to compose: drawn ones with exact masks, and NEU's with boxes."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from flawsmith.models.compositions import Patch, box_of, is_cut, mask_in_boxes, patches_of
from flawsmith.models.compositions.parts import Mask, Pixels
from flawsmith.models.drawn_surfaces import FLAWS, picture

SIDE = 1024  # of drawn photographs, with defects and without: one camera makes both
LARGEST = 160  # pixels of a defect's longer side
LEAST_AREA, LEAST_SIDE = 60, 12  # pixels; smaller ones have no inside to measure
MOST_OF_ONE = 4  # patches of one photograph
HOSTS_KEPT = 64  # drawn hosts in memory
FREE_AROUND = 6  # pixels around a box that are not clean
LEAST_FREE = 0.6  # of a photograph with defects that is outside its boxes, so that it serves as a host


@dataclass(frozen=True)
class Host:
    """A photograph, and where it is clean; None: everywhere."""

    pixels: Pixels
    region: Mask | None
    name: str


def drawn_patches(count: int, first_seed: int, channels: int = 1) -> list[Patch]:
    """Defects of so many drawn photographs, all flaws in turn, that their photograph shows whole."""
    found = []
    for seed in range(first_seed, first_seed + count):
        flaw = list(FLAWS)[seed % len(FLAWS)]
        drawn = picture(seed, SIDE, channels, [flaw])
        found += _usable(patches_of(_as_pixels(drawn.pixels), drawn.mask, flaw, f"drawn-{seed}"))
    return found


@lru_cache(maxsize=HOSTS_KEPT)
def drawn_host(seed: int, channels: int = 1) -> Host:
    """A clean drawn surface of `SIDE` pixels."""
    drawn = picture(seed, SIDE, channels, ())
    return Host(_as_pixels(drawn.pixels), None, f"{drawn.surface} {seed}")


def boxed_set(archive: Path, boxes: Path, photographs: int) -> tuple[list[Patch], list[Host]]:
    """Defects of photographs with boxes, and photographs that are clean in most places.

    Args:
        archive: a folder for each type.
        photographs: how many are looked at, of all types alike.
        boxes: JSON, for each file without its ending a list of [left, top, right, bottom].
    """
    known = json.loads(boxes.read_text())
    patches: list[Patch] = []
    hosts: list[Host] = []
    for name, defect_type, pixels in _photographs(archive, photographs):
        corners = known.get(name, [])
        rectangles = [(left, top, right - left, bottom - top) for left, top, right, bottom in corners]
        patches += _usable(patches_of(pixels, mask_in_boxes(pixels, rectangles), defect_type, name))
        free = np.ones(pixels.shape[:2], bool)
        for x, y, width, height in rectangles:
            rows = slice(max(0, y - FREE_AROUND), y + height + FREE_AROUND)
            free[rows, max(0, x - FREE_AROUND) : x + width + FREE_AROUND] = False
        if free.mean() >= LEAST_FREE:
            hosts.append(Host(pixels, free, name))
    return patches, hosts


def _photographs(archive: Path, count: int) -> Iterator[tuple[str, str, Pixels]]:
    """Name, type and pixels, every n-th of the archive."""
    with zipfile.ZipFile(archive) as opened:
        entries = [each for each in sorted(opened.namelist()) if Path(each).suffix.lower() in {".jpg", ".png", ".bmp"}]
        for entry in entries[:: max(1, len(entries) // count)]:
            image = Image.open(io.BytesIO(opened.read(entry))).convert("L")
            yield Path(entry).stem, Path(entry).parent.name, np.asarray(image)


def _usable(patches: list[Patch]) -> list[Patch]:
    found = []
    for patch in patches:
        _, _, width, height = box_of(patch.mask)
        whole = not is_cut(patch) and LEAST_SIDE <= max(width, height) <= LARGEST
        if whole and patch.mask.sum() >= LEAST_AREA:
            found.append(patch)
    return found[:MOST_OF_ONE]


def _as_pixels(planes: Pixels) -> Pixels:
    return planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0))
