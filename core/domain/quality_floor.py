"""A version's quality floor: the lowest score of an image that is given out.

What workers sample, and what image pool, image cache and sampling queue hold, has the floor in its name. So no image
that was scored by another floor, or by none, can be given out under this one.
"""

from flawsmith.core.domain.records import Moment, Record

_SIGN = ">="


class QualityFloor(Record):
    """The floor of a version, as an operator set it.

    Attributes:
        score: 0 is as photographs whose defects were wiped out, 1 as photographs; see `ImageScores`.
        set_at: when.
    """

    score: float
    set_at: Moment


def sampling_name(version: str, floor: float | None) -> str:
    """``scratches@2``, or with a floor ``scratches@2>=0.2``."""
    return version if floor is None else f"{version}{_SIGN}{floor!r}"


def parse_sampling_name(name: str) -> tuple[str, float | None]:
    """The version's reference and the floor that `sampling_name` joined."""
    version, _, floor = name.partition(_SIGN)
    return version, float(floor) if floor else None
