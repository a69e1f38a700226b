"""Work in steps, so that a worker can stop between two of them."""

from collections.abc import Callable, Generator
from typing import TypeVar

import torch
from torch import Tensor

Found = TypeVar("Found")
Steps = Generator[None, None, Found]
"""Yields between its steps, and returns what it found."""

PIXELS = 64 * 64 * 64  # at most, of the images of one step


def result_of(steps: Steps[Found]) -> Found:
    """Makes all steps."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Found = end.value
            return found


def parts_of(images: Tensor) -> list[slice]:
    """The images, (N, C, side, side), in parts of at most `PIXELS` pixels, but one image at least."""
    size = max(1, PIXELS // images[0, 0].numel())
    return [slice(start, start + size) for start in range(0, len(images), size)]


def in_parts(images: Tensor, make: Callable[[slice], Tensor]) -> Steps[Tensor]:
    """What is made of each part of the images, (N, …): `make` treats each image by itself."""
    made = []
    for part in parts_of(images):
        made.append(make(part))
        yield
    return torch.cat(made)
