"""What an endpoint's signature says about its request: the body's model and the Boolean query parameters."""

from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel

Endpoint = Callable[..., Any]


@cache
def body_model(endpoint: Endpoint) -> type[BaseModel] | None:
    """The pydantic model of the JSON body, or None where the endpoint takes none."""
    models = [hint for hint in _parameters(endpoint).values() if isinstance(hint, type) and issubclass(hint, BaseModel)]
    return models[0] if models else None


@cache
def query_flags(endpoint: Endpoint) -> frozenset[str]:
    """Names of the Boolean parameters."""
    return frozenset(name for name, hint in _parameters(endpoint).items() if hint is bool)


def _parameters(endpoint: Endpoint) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(endpoint).items() if name != "return"}
