"""Scales the photographs of a set that have more than 8 bits a channel alike."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from flawsmith.core.store.images import FULL_RANGE, ValueRange, white_of


@dataclass(frozen=True)
class WideFile:
    """An uploaded file that was scaled by another white than that of its set, and the right white."""

    staged_as: str
    upload: Path
    white: int


@dataclass(frozen=True)
class _Wide:
    staged_as: str
    range: ValueRange


class WidePhotographs:
    """Collects the pictures whose values have more than 8 bits.

    Each is scaled by its own white first. What is white in a set is known once it is known which of its pictures are
    photographs: a mask says nothing about a camera, and keeps its own white.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._wides: list[_Wide] = []

    def add(self, staged_as: str, data: bytes, found: ValueRange) -> None:
        """Adds a picture. Keeps its file where it may have to be decoded again."""
        self._wides.append(_Wide(staged_as, found))
        if found.depends_on_set:
            self._upload(staged_as).write_bytes(data)

    def of_other_white(self, photographs: Collection[str]) -> Iterator[WideFile]:
        """What has to be decoded again where these pictures, given as ``staged_as``, are the photographs."""
        for wides in self._by_declaration(photographs).values():
            white = white_of([wide.range for wide in wides])
            for wide in wides:
                if wide.range.depends_on_set and white_of([wide.range]) != white:
                    yield WideFile(wide.staged_as, self._upload(wide.staged_as), white)

    def warnings(self, photographs: Collection[str]) -> list[str]:
        """A warning where the white of photographs was taken from their values."""
        wides = self._by_declaration(photographs).get(None, [])
        white = white_of([wide.range for wide in wides]) if wides else FULL_RANGE
        if white == FULL_RANGE:
            return []
        peak = max(wide.range.peak for wide in wides)
        return [
            f"{len(wides)} photographs have 16 bits a channel, but no value above {peak:,}, and no file declares its "
            f"range: {white:,} ({white.bit_length()} bits) was taken for white; send 8 bits where that is wrong"
        ]

    def _by_declaration(self, photographs: Collection[str]) -> dict[int | None, list[_Wide]]:
        found: dict[int | None, list[_Wide]] = {}
        for wide in self._wides:
            if wide.staged_as in photographs:
                found.setdefault(wide.range.declared, []).append(wide)
        return found

    def _upload(self, staged_as: str) -> Path:
        return self.folder / f"{staged_as}.upload"
