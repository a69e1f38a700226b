"""A version's quality floor: the lowest score of an image that is given out.

What workers sample, and what image pool, image cache and sampling queue hold, has the floor in its name. So no image
that was scored by another floor, or by none, can be given out under this one. Images that are searched for among
candidates have a name of their own too: they take longer, and none waits in a micro-batch for those of others.
"""

from typing import NamedTuple

from flawsmith.core.domain.records import Moment, Record

_SIGN = ">="
_SEARCH = "+search"  # no reference to a version has a plus


class QualityFloor(Record):
    """The floor of a version, as an operator set it.

    Attributes:
        score: 0 is as photographs whose defects were wiped out, 1 as photographs; see `ImageScores`.
        set_at: when.
    """

    score: float
    set_at: Moment


class Sampled(NamedTuple):
    """What workers sample: a version's reference, its floor, and whether its images are chosen among candidates."""

    version: str
    floor: float | None
    searched: bool


def sampling_name(version: str, floor: float | None, *, searched: bool = False) -> str:
    """``scratches@2``, with a floor ``scratches@2>=0.2``; ``scratches@2+search`` for images chosen among candidates."""
    named = version + _SEARCH if searched else version
    return named if floor is None else f"{named}{_SIGN}{floor!r}"


def parse_sampling_name(name: str) -> Sampled:
    """What `sampling_name` joined."""
    named, _, floor = name.partition(_SIGN)
    return Sampled(named.removesuffix(_SEARCH), float(floor) if floor else None, named.endswith(_SEARCH))
