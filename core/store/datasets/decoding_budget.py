"""Bounds what decoding one upload may cost."""

from dataclasses import dataclass

from flawsmith.core.store.archives import ArchiveTooLarge

BASE_SECONDS = 15.0  # of processor time, however small the upload …
SECONDS_PER_MEGABYTE = 5.0  # … and for what was sent: JPEG takes up to 0.5, a PNG of a plain surface up to 3
_MIN_FILE_SECONDS = 0.1


@dataclass
class DecodingBudget:
    """What an upload has cost so far.

    Attributes:
        max_pixels: most pixels in all photographs together.
        sent_bytes: size of the upload. Not of its unpacked files: a zip can hold a hundred times its size.
        pixels: that they were decoded to.
        seconds: of processor time.
    """

    max_pixels: int
    sent_bytes: int
    pixels: int = 0
    seconds: float = 0.0

    @property
    def seconds_left(self) -> float:
        """The seconds that the next file may take."""
        return max(_MIN_FILE_SECONDS, self._most_seconds - self.seconds)

    def check(self) -> None:
        """Raises ArchiveTooLarge for too many pixels, or for more time than the size of the upload deserves."""
        if self.pixels > self.max_pixels:
            raise ArchiveTooLarge(f"the photographs have more than {self.max_pixels:,} pixels together; send fewer")
        if self.seconds >= self._most_seconds:
            raise ArchiveTooLarge(
                f"decoding the photographs takes more than {self._most_seconds:.0f} s, far more than their size "
                "deserves; save them again as plain PNG or JPEG"
            )

    @property
    def _most_seconds(self) -> float:
        return BASE_SECONDS + SECONDS_PER_MEGABYTE * self.sent_bytes / 1e6
