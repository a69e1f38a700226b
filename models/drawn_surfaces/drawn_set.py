"""Many drawn photographs at once, with all cores."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flawsmith.models.drawn_surfaces.composition import draw

CHUNK = 256


def draw_many(first_seed: int, count: int, side: int, channels: int) -> NDArray[np.uint8]:
    """The pictures of the seeds first_seed, first_seed + 1, …: (count, channels, side, side) uint8."""
    drawn = np.empty((count, channels, side, side), np.uint8)
    for index in range(count):
        drawn[index] = draw(first_seed + index, side, channels)
    return drawn


def chunks(
    first_seed: int, count: int, side: int, channels: int, processes: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The same pictures in order, at most `CHUNK` at a time, drawn by several processes (default: one a core)."""
    starts = list(range(first_seed, first_seed + count, CHUNK))
    counts = [min(CHUNK, first_seed + count - start) for start in starts]
    one = partial(draw_many, side=side, channels=channels)
    with ProcessPoolExecutor(processes or cores(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(one, starts, counts)


def write_set(target: Path, first_seed: int, count: int, side: int, channels: int) -> Iterator[int]:
    """Writes a .npy file, (count, channels, side, side) uint8; yields how many pictures are in it so far.

    The file has its name only when it is complete. It is written as it is drawn, so that it may exceed the memory.
    """
    partial_file = target.with_name(target.name + ".partial")
    whole = np.lib.format.open_memmap(partial_file, "w+", np.uint8, (count, channels, side, side))
    done = 0
    for chunk in chunks(first_seed, count, side, channels):
        whole[done : done + len(chunk)] = chunk
        done += len(chunk)
        yield done
    whole.flush()
    partial_file.replace(target)


def cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
