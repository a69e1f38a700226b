"""Where a defect may lie: inside the part, apart from the others, wholly within the photograph."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from flawsmith.models.compositions.parts import Mask, box_of

TRIES = 200  # random places, before every place is looked at


def random_place(allowed: Mask, stamp: Mask, random: np.random.Generator) -> tuple[int, int] | None:
    """A place (top, left) of the stamp's array, all places alike, at which its marked pixels are all allowed.

    The array itself may reach over the photograph's border, its marked pixels may not. None: there is no such place.
    """
    if not allowed.any():
        return None
    left, top, width, height = box_of(stamp)
    marked = stamp[top : top + height, left : left + width]
    first_column, first_row, room_across, room_down = box_of(allowed)
    allowed = allowed[first_row : first_row + room_down, first_column : first_column + room_across]
    rows, columns = room_down - height + 1, room_across - width + 1
    if rows < 1 or columns < 1:
        return None
    for _ in range(TRIES):
        row, column = int(random.integers(rows)), int(random.integers(columns))
        if not (marked & ~allowed[row : row + height, column : column + width]).any():
            return first_row + row - top, first_column + column - left
    free = np.flatnonzero(_free(allowed, marked))
    if not len(free):
        return None
    row, column = divmod(int(free[random.integers(len(free))]), columns)
    return first_row + row - top, first_column + column - left


def _free(allowed: Mask, marked: Mask) -> NDArray[np.bool_]:
    """For every place, whether no marked pixel lies on a pixel that is not allowed."""
    shape = tuple(fft.next_fast_len(size, real=True) for size in allowed.shape)
    blocked = fft.rfft2((~allowed).astype(np.float64), shape)
    stamp = fft.rfft2(marked.astype(np.float64), shape)
    overlap = fft.irfft2(blocked * np.conj(stamp), shape)
    found: NDArray[np.bool_] = (
        overlap[: allowed.shape[0] - marked.shape[0] + 1, : allowed.shape[1] - marked.shape[1] + 1] < 0.5
    )
    return found
