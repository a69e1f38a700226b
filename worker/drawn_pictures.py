"""Draws surfaces in several processes. Imports no torch: a process that has begun to use it must not be forked."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Draw = Callable[[int, int, int], NDArray[np.uint8]]
"""A seed, a side in pixels and a number of channels to (channels, side, side)."""

PICTURES_AT_ONCE = 100


def drawn(draw: Draw, count: int, side: int, channels: int, seed: int, processes: int) -> NDArray[np.uint8]:
    """(count, channels, side, side): picture i has the seed ``seed + i``, whatever the number of processes."""
    pictures = np.empty((count, channels, side, side), np.uint8)
    first = list(range(0, count, PICTURES_AT_ONCE))
    part = partial(_part, draw, side, channels, seed)
    ranges = [range(begin, min(begin + PICTURES_AT_ONCE, count)) for begin in first]
    for begin, each in zip(first, _mapped(part, ranges, processes), strict=True):
        pictures[begin : begin + len(each)] = each
    return pictures


def drawn_once(path: Path | None, draw: Callable[[], NDArray[np.uint8]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The pictures of a ``.npy`` file; where there is none, pictures drawn now, which the file keeps.

    Raises:
        ValueError: the file has pictures of another shape or number.
    """
    if path is None:
        return draw()
    if not path.exists():
        pictures = draw()
        np.save(path, pictures)
        return pictures
    pictures = np.load(path)
    if pictures.shape != shape:
        raise ValueError(f"{path} has pictures of shape {pictures.shape}, not {shape}; name another file")
    return np.asarray(pictures, np.uint8)


def _mapped(
    part: Callable[[range], NDArray[np.uint8]], ranges: list[range], processes: int
) -> Iterator[NDArray[np.uint8]]:
    if processes == 1:
        yield from map(part, ranges)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
        yield from pool.map(part, ranges)


def _part(draw: Draw, side: int, channels: int, seed: int, numbers: range) -> NDArray[np.uint8]:
    return np.stack([draw(seed + number, side, channels) for number in numbers])
