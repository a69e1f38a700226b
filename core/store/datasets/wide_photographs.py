"""Scales the photographs of a set that have more than 8 bits a channel alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flawsmith.core.store.images import FULL_RANGE, DecodedFile, DecoderProcess, ValueRange, white_of


@dataclass(frozen=True)
class _Wide:
    staged_as: str
    range: ValueRange

    @property
    def upload(self) -> str:
        return f"{self.staged_as}.upload"


class WidePhotographs:
    """Collects the photographs whose values have more than 8 bits. What is white is known after the last of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_declaration: dict[int | None, list[_Wide]] = {}

    def add(self, staged_as: str, data: bytes, found: ValueRange) -> None:
        """Adds a photograph. Keeps its file where it may have to be decoded again."""
        wide = _Wide(staged_as, found)
        self._by_declaration.setdefault(found.declared, []).append(wide)
        if found.depends_on_set:
            (self.folder / wide.upload).write_bytes(data)

    def rescaled(self, decoder: DecoderProcess) -> Iterator[tuple[str, DecodedFile]]:
        """Decodes again what was scaled by another white than that of its set. Yields names of staged files."""
        for wides in self._by_declaration.values():
            white = white_of([wide.range for wide in wides])
            for wide in wides:
                if not wide.range.depends_on_set:
                    continue
                upload = self.folder / wide.upload
                if white_of([wide.range]) != white:
                    file = decoder.decode(upload.read_bytes(), white=white)
                    (self.folder / wide.staged_as).write_bytes(file.png)
                    yield wide.staged_as, file
                upload.unlink()

    def warnings(self) -> list[str]:
        """A warning where the white of photographs was taken from their values."""
        wides = self._by_declaration.get(None, [])
        white = white_of([wide.range for wide in wides]) if wides else FULL_RANGE
        if white == FULL_RANGE:
            return []
        peak = max(wide.range.peak for wide in wides)
        return [
            f"{len(wides)} photographs have 16 bits a channel, but no value above {peak:,}, and no file declares its "
            f"range: {white:,} ({white.bit_length()} bits) was taken for white; send 8 bits where that is wrong"
        ]
