"""What a caller may ask for of an upload, beside its files."""

from collections.abc import Callable
from dataclasses import dataclass

from flawsmith.core.domain.records import Dataset
from flawsmith.core.store.datasets.layout_options import AS_THE_FILES_SAY, LayoutOptions


@dataclass(frozen=True)
class UploadOptions:
    """What a caller may ask for.

    Attributes:
        split: the split to train on, ``all`` for every one; None for the default, see `select`.
        layout: what the caller says of the layout.
        replace: None keeps a dataset of the same name with other content. Else it is called before that dataset is
            deleted, and may raise to keep it.
        abandoned: whether nobody waits for the dataset any more.
        check_room: called before a dataset is published, with how many there will be more (0 or 1) and the bytes that
            it adds; it may raise to keep it out.
    """

    split: str | None = None
    layout: LayoutOptions = AS_THE_FILES_SAY
    replace: Callable[[Dataset], None] | None = None
    abandoned: Callable[[], bool] = lambda: False
    check_room: Callable[[int, int], None] = lambda new, more_bytes: None


DEFAULTS = UploadOptions()
