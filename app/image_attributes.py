"""The attributes that a caller asks of images, checked against what their version knows."""

from collections.abc import Mapping, Sequence

from fastapi import Request

from flawsmith.app.problems import of_errors
from flawsmith.core.domain.attributes import (
    ANGLE,
    BRIGHTNESS,
    SEVERITY,
    Attribute,
    Attributes,
    InvalidRange,
    Range,
    brightness_attribute,
)
from flawsmith.core.domain.records import ModelVersion

NAMES = (ANGLE, BRIGHTNESS, SEVERITY)  # sorted, as in an address
_ALWAYS = {BRIGHTNESS: brightness_attribute()}
_WHY_NOT = {
    ANGLE: "only versions whose card lists it take an angle, such as those that the preset fewshot trains with "
    "'direction'",
    SEVERITY: "only versions whose card lists it take a severity: those that this release or a later one trained on "
    "photographs with anomalies that can be measured",
}


def of_body(version: ModelVersion, given: Mapping[str, object], defect_types: Sequence[str]) -> Attributes:
    """The canonical attributes of a body that asks for images of these types.

    Raises:
        Problem: 422 for attributes that the version does not know, for values that are not ranges of theirs, and for
            ranges in which the version has no samples.
    """
    found: list[tuple[str, Range]] = []
    errors: list[tuple[str, str]] = []
    for name, value in given.items():
        try:
            attribute = _known(version, name)
            bounds = attribute.canonical(value)
            attribute.check_reach(bounds, defect_types)
            found.append((name, bounds))
        except InvalidRange as error:
            errors.append((f"/attributes/{name.replace('~', '~0').replace('/', '~1')}", str(error)))
    if errors:
        raise of_errors(errors)
    return tuple(sorted(found))


def of_query(version: ModelVersion, request: Request, defect_type: str) -> Attributes:
    """The attributes of an image's URL. Raises Problem 422 as `of_body`, and for a range that is not canonical."""
    given = {name: texts for name in NAMES if (texts := request.query_params.getlist(name))}
    found, errors = list[tuple[str, Range]](), list[tuple[str, str]]()
    for name, texts in given.items():
        try:
            attribute = _known(version, name)
            if len(texts) > 1:
                raise InvalidRange(f"is given {len(texts)} times; give it once")
            bounds = attribute.parse(texts[0])
            attribute.check_reach(bounds, [defect_type])
            found.append((name, bounds))
        except InvalidRange as error:
            errors.append((f"/query/{name}", str(error)))
    if errors:
        raise of_errors(errors)
    return tuple(found)


def _known(version: ModelVersion, name: str) -> Attribute:
    """Raises InvalidRange that says what the version knows."""
    known = _ALWAYS | version.attributes
    if name in known:
        return known[name]
    why = f"; {_WHY_NOT[name]}" if name in _WHY_NOT else ""
    listed = "; ".join(f"{each} {attribute.described}" for each, attribute in sorted(known.items()))
    raise InvalidRange(f"unknown attribute; {version.ref} knows: {listed}{why}")
