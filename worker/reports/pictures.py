"""Pictures of a report: sheets of photographs and samples, pairs with their difference, and walks, as PNG in base64."""

import base64
from collections.abc import Iterator

import torch
from torch import Tensor

from flawsmith.core.store.images import encode_png, grid, to_image
from flawsmith.models.inference.latents import latent
from flawsmith.models.inference.walks import slerp
from flawsmith.worker.published_generator import PublishedGenerator
from flawsmith.worker.reports.analysis import TypePictures
from flawsmith.worker.reports.material import FIRST_SEED, Material

COLUMNS = 6  # of a sheet: on a telephone's 390 px a picture still has 60
MOST_SHOWN, FEWEST_SHOWN = 24, 6  # pictures of a type on a sheet
SHOWN_VALUES = 1_500_000  # of all sheets together, so that the page stays under about 5 MB
WALKS, WALK_STEPS = 3, 6


def picture_stage(material: Material) -> Iterator[TypePictures]:
    """The pictures of each type: the first samples of a fixed order, none of them chosen."""
    shown, generator = shown_pictures(material), material.generator
    for index, name in enumerate(material.classes):
        photographs = evenly(material.of_type(index), shown)
        samples = material.samples(index)[: len(photographs)]
        yield TypePictures(
            type=name,
            photographs=sheet(photographs, COLUMNS),
            samples=sheet(samples, COLUMNS, synthetic=True),
            shown=len(samples),
            first_seed=FIRST_SEED,
            walks=sheet(_walks(generator, name), WALK_STEPS, synthetic=True)
            if isinstance(generator, PublishedGenerator)
            else None,
        )


def shown_pictures(material: Material) -> int:
    """How many pictures of a type a sheet shows: the fewer, the larger the pictures are."""
    side, channels = material.version.resolution, material.photographs.images.shape[1]
    affordable = SHOWN_VALUES // (2 * side * side * channels * len(material.classes))
    return max(FEWEST_SHOWN, min(MOST_SHOWN, affordable // COLUMNS * COLUMNS))


def sheet(images: Tensor, columns: int, *, synthetic: bool = False) -> str:
    """(N, C, side, side) uint8 images row by row, as a PNG in base64. It says if it is ``synthetic``."""
    pixels = images.permute(0, 2, 3, 1).numpy()
    picture = grid(list(map(to_image, pixels)), min(columns, len(images)))
    return base64.b64encode(encode_png(picture, {"Synthetic": "true"} if synthetic else None, level=6)).decode()


def evenly(images: Tensor, count: int) -> Tensor:
    """At most so many of the images, evenly spaced."""
    return images[torch.linspace(0, len(images) - 1, min(count, len(images))).round().long()]


def _walks(generator: PublishedGenerator, name: str) -> Tensor:
    """`WALKS` walks between the latents of two samples each, row by row: (WALKS * WALK_STEPS, C, side, side) uint8."""
    session, rows = generator.session, []
    for walk in range(WALKS):
        first, last = (latent(FIRST_SEED + 2 * walk + end, name, session.latent_size) for end in range(2))
        types = torch.full((WALK_STEPS,), generator.classes.index(name))
        rows.append(session.sample(slerp(first, last, WALK_STEPS), types))
    return torch.cat(rows).permute(0, 3, 1, 2)
