"""What was wrong with a value of a body, in words of JSON: pydantic's are Python's."""

from collections.abc import Mapping
from typing import Any

from flawsmith.core.domain.records import NAME_PATTERN

_OBJECTS = {"dict_type", "model_type", "model_attributes_type", "dataclass_type"}


def described(error: Mapping[str, Any], known: list[str]) -> str:
    """What is wrong with a value of a body; ``known`` are the keys that there are."""
    if error["type"] == "extra_forbidden":
        return f"unknown key; the known keys are {', '.join(known)}"
    if error["type"] in _OBJECTS:
        return "must be a JSON object"
    if error["type"] == "bool_parsing":
        return "must be true or false"
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == NAME_PATTERN:
        return "a name has 1 to 64 letters, digits, '_', '.' and '-', the first a letter or digit"
    return str(error["msg"]).removeprefix("Value error, ")
