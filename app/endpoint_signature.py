"""What an endpoint's signature says about its request: the body's model and the query parameters."""

from collections.abc import Callable
from functools import cache
from typing import Any, get_args, get_type_hints

from fastapi import Request, Response, params
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


@cache
def query_parameters(endpoint: Endpoint, path: str) -> tuple[str, ...]:
    """Names of the query parameters of an endpoint at ``path``, such as ``/things/{id}``: all that is nothing else."""
    hints = get_type_hints(endpoint, include_extras=True)
    hints.pop("return", None)
    return tuple(
        _alias(hint) or name for name, hint in hints.items() if f"{{{name}}}" not in path and not _from_elsewhere(hint)
    )


def _alias(hint: Any) -> str | None:
    """The name in the query where it is no name in Python, such as ``with``."""
    return next((each.alias for each in get_args(hint) if isinstance(each, params.Query) and each.alias), None)


def _from_elsewhere(hint: Any) -> bool:
    """Whether a parameter is the request, the response, the body or a dependency."""
    if any(isinstance(each, params.Depends) for each in get_args(hint)):
        return True
    return isinstance(hint, type) and issubclass(hint, (Request, Response, BaseModel))


def _parameters(endpoint: Endpoint) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(endpoint).items() if name != "return"}
