"""What reading one label file gives, whatever its format."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flawsmith.core.store.datasets.boxes import Box, Size, numbers

NOT_UNDERSTOOD = (
    "no known layout explains this file; labels are read from COCO and labelme JSON, YOLO text and Pascal VOC XML"
)


class NotUnderstood(Exception):
    """The file is not of this format; the message says why."""


@dataclass
class Found:
    """What a label file says; all by the photograph's path. ``boxes`` has an entry, maybe empty, for each of them."""

    kind: str  # coco, labelme, voc or yolo
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)  # that the file declares
    splits: dict[str, str | None] = field(default_factory=dict)
    passed_over: list[tuple[str, str]] = field(default_factory=list)  # what, of which photograph

    def add_size(self, photograph: str, width: Any, height: Any) -> None:
        """Adds the declared size of a photograph; many programs write none, or 0."""
        with suppress(TypeError, ValueError):
            across, down = numbers((width, height), 2)
            if across > 0 and down > 0:
                self.sizes[photograph] = int(across), int(down)
