"""The attributes that a caller asks of images, checked against what their version knows."""

from collections.abc import Mapping

from fastapi import Request

from flawsmith.app.problems import Problem, of_errors
from flawsmith.core.domain.attributes import ANGLE, Attribute, Attributes, InvalidRange, Range
from flawsmith.core.domain.records import ModelVersion


def of_body(version: ModelVersion, given: Mapping[str, object]) -> Attributes:
    """The canonical attributes of a body.

    Raises:
        Problem: 422 for attributes that the version does not know, and for values that are not ranges of theirs.
    """
    found: list[tuple[str, Range]] = []
    errors: list[tuple[str, str]] = []
    for name, value in given.items():
        try:
            found.append((name, _known(version, name).canonical(value)))
        except InvalidRange as error:
            errors.append((f"/attributes/{name.replace('~', '~0').replace('/', '~1')}", str(error)))
    if errors:
        raise of_errors(errors)
    return tuple(sorted(found))


def of_query(version: ModelVersion, request: Request) -> Attributes:
    """The attributes of an image's URL. Raises Problem 422 as `of_body`, and for a range that is not canonical."""
    texts = request.query_params.getlist(ANGLE)
    if not texts:
        return ()
    try:
        attribute = _known(version, ANGLE)
        if len(texts) > 1:
            raise InvalidRange(f"is given {len(texts)} times; give it once")
        return ((ANGLE, attribute.parse(texts[0])),)
    except InvalidRange as error:
        raise _of_query(str(error)) from error


def _of_query(detail: str) -> Problem:
    return of_errors([(f"/query/{ANGLE}", detail)])


def _known(version: ModelVersion, name: str) -> Attribute:
    """Raises InvalidRange that says what the version knows."""
    if name in version.attributes:
        return version.attributes[name]
    if not version.attributes:
        raise InvalidRange(
            f"{version.ref} takes no attributes; only versions whose card lists some do, such as those that the preset "
            "fewshot trains with 'direction'. Leave this out"
        )
    known = "; ".join(f"{each} {attribute.described}" for each, attribute in version.attributes.items())
    raise InvalidRange(f"unknown attribute; {version.ref} knows: {known}")
