"""Attributes: what callers may ask of an image beside its type and seed, such as the angle of its lines.

Given attributes are part of the image's address. Each range has one canonical form, and so each address one URL.

The networks know the angle. Brightness and severity are measured: an address with one of them names the first of
`CANDIDATES` images, drawn from its seed, whose value lies in the range.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

Range = tuple[float, float]

Attributes = tuple[tuple[str, Range], ...]
"""Names of given attributes with their canonical ranges, sorted by name. Hashable, as a part of an address."""

_RANGE_SCHEMA = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
AttributesOfBody = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": _RANGE_SCHEMA})]
"""Attributes in a request's body; the version says what of them is right."""

ANGLE, BRIGHTNESS, SEVERITY = "angle", "brightness", "severity"
MEASURED = frozenset((BRIGHTNESS, SEVERITY))
CANDIDATES = 32
"""Images that an address with a measured attribute chooses from: two passes of a generator at most. A range that a
tenth of the samples lie in is missed by 3 % of the seeds, one with a quarter of them by 1 in 10,000. The number belongs
to every such address and never changes."""
DECIMALS = 2  # of a bound and of a measured value: finer ranges could not be told apart in an image
MAX_TEXT = 64  # characters of a range in a query

_RANGE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\.\.([0-9]{1,9}(?:\.[0-9]{1,9})?)")


class InvalidRange(ValueError):
    """A range that an attribute does not take; the message says what would be right."""


class RangeOfPhotographs(BaseModel):
    """The share of photographs whose value lies in a range, 0 … 1."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    from_: float = Field(alias="from")
    to: float
    photographs: float


class Attribute(BaseModel):
    """An attribute of a version's images that callers may choose.

    Attributes:
        range: the least and the greatest value.
        unit: of the values.
        wraps: whether the greatest value is the least one again, as a line's 180 degrees are 0.
        photographs: by defect type, the share of the photographs trained on in each of several ranges; those without a
            value, such as photographs without a direction, are in none.
        samples: of a measured attribute, by defect type, the 5th and the 95th percentile of the version's samples. A
            type that is not listed cannot be measured; where none is, the version's samples were not measured.
    """

    model_config = ConfigDict(frozen=True)

    range: Range
    unit: str
    wraps: bool
    photographs: dict[str, list[RangeOfPhotographs]] = Field(default_factory=dict)
    samples: dict[str, Range] = Field(default_factory=dict)

    @property
    def described(self) -> str:
        """What would be right: "[low, high], two numbers from 0 to 180 (degrees …)"."""
        least, greatest = map(_number, self.range)
        wrapping = "; low above high wraps" if self.wraps else ", low not above high"
        return f"[low, high], two numbers from {least} to {greatest} ({self.unit}){wrapping}"

    def canonical(self, value: object) -> Range:
        """The canonical form of [low, high]: rounded to `DECIMALS`, and of ranges that mean the same one.

        Raises:
            InvalidRange: the value is no such range.
        """
        if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(self._is_valid, value)):
            raise InvalidRange(f"must be {self.described}")
        low, high = (round(float(each), DECIMALS) + 0.0 for each in value)  # + 0: no -0
        if not self.wraps:
            if low > high:
                raise InvalidRange(f"must be {self.described}")
            return low, high
        least, greatest = self.range
        if low == greatest:
            low, high = least, least if high == greatest else high
        if high == least and low > least:
            high = greatest
        return low, high

    def parse(self, text: str) -> Range:
        """The range that `range_text` turned into this text. Raises InvalidRange, also for another spelling of it."""
        matched = _RANGE.fullmatch(text)
        if not matched:
            raise InvalidRange(f"must be LOW..HIGH for {self.described}")
        found = self.canonical([float(each) for each in matched.groups()])
        if range_text(found) != text:
            raise InvalidRange(f"an address has one URL; this range is written {range_text(found)}")
        return found

    def check_reach(self, bounds: Range, defect_types: Iterable[str]) -> None:
        """Checks that the version's samples of each type have values in a canonical range of a measured attribute.

        Raises:
            InvalidRange: they have not.
        """
        for each in defect_types if self.samples else ():
            if each not in self.samples:
                raise InvalidRange(f"cannot be measured on '{each}'; give a 'defect_type' of: {self._reaches}")
            low, high = self.samples[each]
            if bounds[1] < low or bounds[0] > high:
                raise InvalidRange(
                    f"samples of '{each}' have {range_text((low, high))} (5th to 95th percentile); ask for a range "
                    "that reaches into it"
                )

    @property
    def _reaches(self) -> str:
        return ", ".join(f"'{name}' ({range_text(bounds)})" for name, bounds in self.samples.items())

    def _is_valid(self, bound: object) -> bool:
        least, greatest = self.range
        return isinstance(bound, int | float) and not isinstance(bound, bool) and least <= bound <= greatest


def angle_attribute(photographs: Mapping[str, list[RangeOfPhotographs]] | None = None) -> Attribute:
    """The attribute `ANGLE`: of the lines of an image."""
    unit = "degrees counter-clockwise from level"
    return Attribute(range=(0.0, 180.0), unit=unit, wraps=True, photographs=dict(photographs or {}))


def brightness_attribute(samples: Mapping[str, Range] | None = None) -> Attribute:
    """The attribute `BRIGHTNESS`: an image's mean gray value. Every version takes it: it can be measured."""
    unit = "gray levels, the image's mean"
    return Attribute(range=(0.0, 255.0), unit=unit, wraps=False, samples=dict(samples or {}))


def severity_attribute(samples: Mapping[str, Range]) -> Attribute:
    """The attribute `SEVERITY`: how much of the picture the anomaly takes."""
    unit = "share of the picture that the anomaly takes"
    return Attribute(range=(0.0, 1.0), unit=unit, wraps=False, samples=dict(samples))


def is_searched(attributes: Attributes) -> bool:
    """Whether images with these attributes are chosen among candidates."""
    return any(name in MEASURED for name, _ in attributes)


def in_ranges(attributes: Attributes, measured: Mapping[str, float]) -> bool:
    """Whether an image with these measured values has the measured ones of these attributes."""
    return all(low <= measured[name] <= high for name, (low, high) in attributes if name in MEASURED)


def range_text(bounds: Range) -> str:
    """``30..60``, the form in a URL."""
    return "..".join(f"{each:.{DECIMALS}f}".rstrip("0").rstrip(".") for each in bounds)


def attributes_text(attributes: Attributes) -> str:
    """``angle=30..60``, and an ampersand before each further attribute; as in a query, where it needs no escapes."""
    return "&".join(f"{name}={range_text(bounds)}" for name, bounds in attributes)


def parse_attributes(text: str) -> Attributes:
    """The attributes that `attributes_text` turned into this text."""
    pairs = (each.partition("=") for each in text.split("&"))
    return tuple((name, _bounds(*bounds.split(".."))) for name, _, bounds in pairs)


def to_json(attributes: Attributes) -> dict[str, list[float]]:
    """``{"angle": [30, 60]}``."""
    return {name: list(map(_number, bounds)) for name, bounds in attributes}


def from_json(values: Mapping[str, Any]) -> Attributes:
    """The attributes that `to_json` turned into these values."""
    return tuple(sorted((name, _bounds(*bounds)) for name, bounds in values.items()))


def _bounds(low: Any, high: Any) -> Range:
    return float(low), float(high)


def _number(value: float) -> float:
    return int(value) if value.is_integer() else value
