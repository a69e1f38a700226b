"""What the JSON bodies of requests have in common: unknown keys are errors, of which a bounded number is reported."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

MAX_ERRORS = 100  # that one answer lists


class RequestBody(BaseModel):
    """A JSON body. Unknown keys are refused, and values are not converted: "3" is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_surplus(cls, given: Any) -> Any:
        return without_surplus(cls, given)


def examples(*bodies: dict[str, Any]) -> ConfigDict:
    """The ``model_config`` of a body that shows examples in its schema. They name a dataset and a model `steel`."""
    return ConfigDict(json_schema_extra={"examples": list(bodies)})


def without_surplus(model: type[BaseModel], given: Any) -> Any:
    """An object with at most `MAX_ERRORS` unknown keys, the first ones; anything else is returned unchanged.

    pydantic makes an error of every unknown key, and a megabyte holds a hundred thousand of them.
    """
    if not isinstance(given, dict) or len(given) <= MAX_ERRORS:
        return given
    known = model.model_fields.keys()
    reported = set([key for key in given if key not in known][:MAX_ERRORS])
    return {key: value for key, value in given.items() if key in known or key in reported}
