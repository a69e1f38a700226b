"""Keeps images from callers who must not or do not want to have them: withdrawn ones, those below a version's quality
floor, and near copies of photographs; and draws others where none has the attributes that were asked for, or
labels are doubtful.

Only requests that need it come here: for versions with withdrawn addresses or a floor, with ``max_similarity`` or
``nearest``, with a brightness or severity, with labels.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat

from fastapi import Request
from prometheus_client import Counter

from flawsmith.app.image_labels import all_doubtful
from flawsmith.app.image_request import ImageRequest
from flawsmith.app.problems import Problem
from flawsmith.app.sampling.images import Availability, Images
from flawsmith.app.sampling.photograph_comparison import PhotographComparison
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import CANDIDATES, Range, attributes_text, range_text, to_json
from flawsmith.core.domain.image_labels import ImageLabels
from flawsmith.core.metrics import model_label
from flawsmith.core.store.reference_photographs import Nearest, ReferencePhotographs
from flawsmith.core.store.withdrawals import Withdrawn

REDRAWS = 20  # of one image
HOPELESS = 4  # seeds in a row without the attributes; a range that 1 % of the images have is found in 72 % of them

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
                photographs, no image has the attributes, or the version has no photographs to compare with; 504 after
                the deadline; as the ``sample`` of this filter.
        """
        if wanted.addresses is not None and wanted.withdrawn:
            check_withdrawn(wanted.withdrawn, wanted.addresses)
        references = await self._comparison.references(wanted.version) if wanted.is_measured else None
        looked_at = bool(wanted.is_measured or wanted.floor is not None or wanted.is_searched or wanted.labels)
        sampled = replace(wanted, with_pixels=wanted.with_pixels or looked_at)
        draws = _Draws(self._sample_again, request, sampled)
        await draws.begin(self._sample)
        images, nearest = draws.images, list[Nearest]()
        if references is not None:
            nearest, refused = await self._redraw_copies(draws, references)
            images = draws.images._replace(refused=None if wanted.max_similarity is None else refused)
        if wanted.labels:
            images = images._replace(labels=draws.labels, wanted_labels=wanted.labels, redrawn=draws.redrawn)
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
            REFUSED.labels(model_label(model)).inc(len(positions))
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

    None has a withdrawn address, none is below the quality floor, and each has the attributes that were asked for.
    """

    sample_again: Sample
    request: Request
    wanted: ImageRequest
    pairs: list[tuple[Address, bytes]] = field(default_factory=list)
    availabilities: set[Availability] = field(default_factory=set)
    below_floor: dict[Address, float] = field(default_factory=dict)  # all that were met
    not_found: dict[Address, Mapping[str, Range]] = field(default_factory=dict)  # all that were met
    labels: dict[Address, ImageLabels] = field(default_factory=dict)  # all that were met
    redrawn: int = 0  # for their labels

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
        """Replaces withdrawn images, those below the floor and those without the attributes that were asked for.

        New images with doubtful labels as well; an image that was asked for by its address has the labels it has.
        Raises Problem 409 where `REDRAWS` are not enough, or the search for attributes is hopeless.
        """
        in_vain = 0
        for redraw in range(1 + REDRAWS):
            await self._replace_withdrawn(positions)
            missed = [each for each in positions if self.pairs[each][0] in self.not_found]
            in_vain = in_vain + len(missed) if len(missed) == len(positions) else 0
            doubtful = self._doubtful(positions)
            self.redrawn += len(doubtful)
            unfit = {*missed, *doubtful}
            positions = [each for each in positions if each in unfit or self.pairs[each][0] in self.below_floor]
            if not positions:
                return
            if self.wanted.addresses is not None or in_vain >= HOPELESS or redraw == REDRAWS:
                raise self._refusal(positions)
            await self._replace(positions)

    def _doubtful(self, positions: Iterable[int]) -> list[int]:
        if self.wanted.labels is None or self.wanted.addresses is not None:
            return []
        labels = {each: self.labels.get(self.pairs[each][0]) for each in positions}
        return [position for position, each in labels.items() if each and not each.plausible]

    def _refusal(self, positions: Sequence[int]) -> Problem:
        """Why the images at these positions cannot be given out."""
        unfit, given = [self.pairs[each][0] for each in positions], self.wanted.addresses is not None
        if missed := [each for each in unfit if each in self.not_found]:
            if given:
                return _addresses_not_found(self.wanted, {each: self.not_found[each] for each in missed})
            return _none_found(self.wanted, self.not_found)
        if doubtful := self._doubtful(positions):
            return all_doubtful(self.wanted.version, len(doubtful), self.wanted.count, 1 + REDRAWS)
        if given:
            return _addresses_below_floor(self.wanted, unfit, self.below_floor)
        return _all_below_floor(self.wanted, len(unfit), max(self.below_floor.values()))

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
        self.not_found.update(images.not_found)
        self.labels.update(images.labels)
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


def _addresses_not_found(wanted: ImageRequest, found: Mapping[Address, Mapping[str, Range]]) -> Problem:
    seeds = ", ".join(str(each.seed) for each in list(found)[:10]) + (", …" if len(found) > 10 else "")
    detail = (
        f"{len(found)} of {wanted.count} images (seeds {seeds}) have no {attributes_text(wanted.attributes)} among the "
        f"{CANDIDATES} candidates that each seed draws: {_reach(found)}. Leave them out, ask for new images without "
        "'seed', or for a wider range"
    )
    listed = [address.to_json() | {"measured": to_json(tuple(reach.items()))} for address, reach in found.items()]
    return Problem(409, "attributes-not-found", detail, refused=listed)


def _none_found(wanted: ImageRequest, found: Mapping[Address, Mapping[str, Range]]) -> Problem:
    detail = (
        f"no {wanted.count} images with {attributes_text(wanted.attributes)} were found: {len(found)} seeds of "
        f"{wanted.version.ref}, each with {CANDIDATES} candidates, have none; {_reach(found)}. Ask for a wider range"
    )
    return Problem(409, "attributes-not-found", detail)


def _reach(found: Mapping[Address, Mapping[str, Range]]) -> str:
    """What the candidates have: ``those of 'scratches' have brightness 96..141``."""
    reaches: dict[str, dict[str, Range]] = {}
    for address, each in found.items():
        reach = reaches.setdefault(address.defect_type, {})
        for name, (low, high) in each.items():
            least, greatest = reach.get(name, (low, high))
            reach[name] = (min(least, low), max(greatest, high))
    return "; ".join(
        f"those of '{kind}' have " + " and ".join(f"{name} {range_text(bounds)}" for name, bounds in reach.items())
        for kind, reach in reaches.items()
    )


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
