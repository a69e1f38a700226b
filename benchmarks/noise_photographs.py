"""Photographs of noise, for benchmarks that measure speed only."""

import io
import zipfile

import numpy as np
from PIL import Image

from flawsmith.core.domain.records import Dataset, SizeRange, now


def noise_archive(count: int, side: int = 40) -> bytes:
    """A zip with ``count`` different gray PNGs of side x side pixels."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for seed in range(count):
            archive.writestr(f"{seed}.png", _noise_png(seed, side))
    return buffer.getvalue()


def noise_dataset(count: int, side: int) -> Dataset:
    """The record of a dataset of so many gray photographs of one type."""
    return Dataset(
        id="ds-1",
        name="noise",
        digest="",
        image_count=count,
        classes={"noise": count},
        size=SizeRange(min=(side, side), max=(side, side)),
        mode="L",
        rejected=[],
        created_at=now(),
    )


def _noise_png(seed: int, side: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
