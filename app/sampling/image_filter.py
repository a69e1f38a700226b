"""Keeps images from callers who must not or do not want to have them: withdrawn ones, those below a version's quality
floor, and near copies of photographs.

Only requests that need it come here: for versions with withdrawn addresses or a floor, with ``max_similarity`` or
``nearest``.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat

from fastapi import Request
from prometheus_client import Counter

from flawsmith.app.image_request import ImageRequest
from flawsmith.app.problems import Problem
from flawsmith.app.sampling.images import Availability, Images
from flawsmith.app.sampling.photograph_comparison import PhotographComparison
from flawsmith.core.domain.addresses import Address
from flawsmith.core.store.reference_photographs import Nearest, ReferencePhotographs
from flawsmith.core.store.withdrawals import Withdrawn

REDRAWS = 20  # of one image

REFUSED = Counter(
    "flawsmith_images_refused_total", "Images that were nearer to a photograph than their caller allows", ["model"]
)

Sample = Callable[[Request, ImageRequest], Awaitable[Images]]
"""Gives a request its images, whatever they show."""


class ImageFilter:
    """Gives requests only images that pass.

    An image that was taken from the pool and refused is not put back: it would be the next one to be taken.

    Args:
        sample: gives the images that a request asks for.
        sample_again: the same, for new images in place of refused ones.
        comparison: compares images with photographs.
    """

    def __init__(self, sample: Sample, sample_again: Sample, comparison: PhotographComparison) -> None:
        self._sample, self._sample_again, self._comparison = sample, sample_again, comparison

    async def images(self, request: Request, wanted: ImageRequest) -> Images:
        """The images that were asked for; new ones are drawn again until they pass.

        Raises:
            Problem: 410 for withdrawn addresses; 409 where images are below the quality floor or too near to
                photographs, or the version has no photographs to compare with; 504 after the deadline; as the
                ``sample`` of this filter.
        """
        if wanted.addresses is not None and wanted.withdrawn:
            check_withdrawn(wanted.withdrawn, wanted.addresses)
        references = await self._comparison.references(wanted.version) if wanted.is_measured else None
        looked_at = wanted.is_measured or wanted.floor is not None
        sampled = replace(wanted, with_pixels=wanted.with_pixels or looked_at)
        draws = _Draws(self._sample_again, request, sampled)
        await draws.begin(self._sample)
        images, nearest = draws.images, list[Nearest]()
        if references is not None:
            nearest, refused = await self._redraw_copies(draws, references)
            images = draws.images._replace(refused=None if wanted.max_similarity is None else refused)
        if not wanted.with_pixels:
            images = images._replace(pngs=[])
        return images._replace(nearest=nearest) if wanted.with_nearest else images

    async def _redraw_copies(self, draws: "_Draws", references: ReferencePhotographs) -> tuple[list[Nearest], int]:
        """Redraws images until each may be given out; returns their nearest photographs, and how many were refused."""
        most, model = draws.wanted.max_similarity, draws.wanted.version.model
        nearest = await self._comparison.nearest(references, draws.pairs)
        if most is None:
            return nearest, 0
        refused, lowest = 0, 1.0
        for redraw in range(1 + REDRAWS):
            positions = [number for number, each in enumerate(nearest) if each.similarity > most]
            if not positions:
                return nearest, refused
            refused += len(positions)
            lowest = min(lowest, *(nearest[each].similarity for each in positions))
            REFUSED.labels(model).inc(len(positions))
            if draws.wanted.addresses is not None:
                raise _addresses_too_similar(most, [(draws.pairs[each][0], nearest[each]) for each in positions])
            if redraw < REDRAWS:
                await draws.redraw(positions)
                again = await self._comparison.nearest(references, [draws.pairs[each] for each in positions])
                for position, each in zip(positions, again, strict=True):
                    nearest[position] = each
        raise _all_too_similar(most, len(positions), draws.wanted.count, lowest, refused)


@dataclass
class _Draws:
    """The images of one request, each of which can be drawn again.

    None has a withdrawn address, and none is below the quality floor.
    """

    sample_again: Sample
    request: Request
    wanted: ImageRequest
    pairs: list[tuple[Address, bytes]] = field(default_factory=list)
    availabilities: set[Availability] = field(default_factory=set)
    below_floor: dict[Address, float] = field(default_factory=dict)  # all that were met

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.wanted.deadline_seconds

    @property
    def images(self) -> Images:
        availability: Availability = "partial" if len(self.availabilities) > 1 else next(iter(self.availabilities))
        pngs = [png for _, png in self.pairs] if self.wanted.with_pixels else []
        return Images(self.wanted.version, [address for address, _ in self.pairs], pngs, availability)

    async def begin(self, sample: Sample) -> None:
        """Draws every image."""
        self.pairs = await self._draw(sample, self.wanted)
        await self._replace_unfit(range(len(self.pairs)))

    async def redraw(self, positions: Sequence[int]) -> None:
        """Draws new images, of the same types, for those at these positions."""
        await self._replace(positions)
        await self._replace_unfit(positions)

    async def _replace_unfit(self, positions: Sequence[int]) -> None:
        """Replaces withdrawn images, and those below the floor. Raises Problem 409 where `REDRAWS` are not enough."""
        for redraw in range(1 + REDRAWS):
            await self._replace_withdrawn(positions)
            positions = [each for each in positions if self.pairs[each][0] in self.below_floor]
            if not positions:
                return
            if self.wanted.addresses is not None:
                below = [self.pairs[each][0] for each in positions]
                raise _addresses_below_floor(self.wanted, below, self.below_floor)
            if redraw < REDRAWS:
                await self._replace(positions)
        raise _all_below_floor(self.wanted, len(positions), max(self.below_floor.values()))

    async def _replace_withdrawn(self, positions: Iterable[int]) -> None:
        """Every new address is higher than those before, so that this ends."""
        withdrawn = self.wanted.withdrawn or {}
        while positions := [each for each in positions if self.pairs[each][0].plain in withdrawn]:
            await self._replace(positions)

    async def _replace(self, positions: Sequence[int]) -> None:
        by_type: dict[str, list[int]] = {}
        for position in positions:
            by_type.setdefault(self.pairs[position][0].defect_type, []).append(position)
        for defect_type, places in by_type.items():
            left = self.deadline - time.monotonic()
            if left <= 0:
                seconds = self.wanted.deadline_seconds
                raise Problem(504, "deadline-passed", f"no {self.wanted.count} images passed within {seconds:g} s")
            more = replace(self.wanted, count=len(places), defect_type=defect_type, deadline_seconds=left)
            for place, pair in zip(places, await self._draw(self.sample_again, more), strict=True):
                self.pairs[place] = pair

    async def _draw(self, sample: Sample, wanted: ImageRequest) -> list[tuple[Address, bytes]]:
        images = await sample(self.request, wanted)
        self.availabilities.add(images.availability)
        self.below_floor.update(images.below_floor)
        return list(zip(images.addresses, images.pngs or repeat(b""), strict=False))


def check_withdrawn(withdrawn: Withdrawn, addresses: Sequence[Address]) -> None:
    """Raises Problem 410 if one of the addresses was withdrawn, whatever its attributes."""
    gone = [each for each in addresses if each.plain in withdrawn]
    if gone:
        described = "; ".join(f"seed {each.seed} of '{each.defect_type}': {withdrawn[each.plain]}" for each in gone[:5])
        listed = [each.to_json() | {"reason": withdrawn[each.plain]} for each in gone]
        detail = f"an operator withdrew {described}; ask for other seeds"
        raise Problem(410, "withdrawn", detail, withdrawn=listed)


def _addresses_below_floor(wanted: ImageRequest, below: list[Address], scores: Mapping[Address, float]) -> Problem:
    seeds = ", ".join(str(each.seed) for each in below[:10]) + (", …" if len(below) > 10 else "")
    detail = (
        f"{wanted.version.ref} has the quality floor {wanted.floor:g}, and {len(below)} of {wanted.count} images score "
        f"less (seeds {seeds}); leave them out, ask for new images without 'seed', or have an operator lower the floor"
    )
    listed = [address.to_json() | {"score": scores[address]} for address in below]
    return Problem(409, "below-quality-floor", detail, refused=listed)


def _all_below_floor(wanted: ImageRequest, left: int, highest: float) -> Problem:
    detail = (
        f"{left} of {wanted.count} images were below the quality floor of {wanted.version.ref}, {wanted.floor:g}, each "
        f"time of {1 + REDRAWS}; the highest score among the refused ones was {highest:g}. Have an operator lower the "
        "floor, or use another version"
    )
    return Problem(409, "below-quality-floor", detail)


def _addresses_too_similar(most: float, refused: list[tuple[Address, Nearest]]) -> Problem:
    seeds = ", ".join(str(address.seed) for address, _ in refused[:10]) + (", …" if len(refused) > 10 else "")
    highest = max(each.similarity for _, each in refused)
    detail = (
        f"{len(refused)} of these images are nearer to a training photograph than 'max_similarity': {most:g} allows "
        f"(seeds {seeds}); leave them out, ask for new images without 'seed', or allow {highest:g}"
    )
    listed = [address.to_json() | {"similarity": each.similarity} for address, each in refused]
    return Problem(409, "too-similar", detail, {"X-Refused": str(len(refused))}, refused=listed)


def _all_too_similar(most: float, left: int, count: int, lowest: float, refused: int) -> Problem:
    detail = (
        f"{left} of {count} images were nearer to a training photograph than 'max_similarity': {most:g} allows, each "
        f"time of {1 + REDRAWS}; the lowest similarity of them all was {lowest:g}: allow at least that, or train with "
        "more photographs"
    )
    return Problem(409, "too-similar", detail, {"X-Refused": str(refused)})
