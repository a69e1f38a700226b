"""Refuses unknown query parameters, as unknown keys of a body are refused: a mistyped one would go unnoticed."""

from fastapi import Request
from fastapi.routing import APIRoute

from flawsmith.app.endpoint_signature import query_parameters
from flawsmith.app.problems import unknown_parameters


async def refuse_unknown_parameters(request: Request) -> None:
    """A dependency of every route. Raises Problem 422 that names the known parameters."""
    if request.scope["query_string"]:
        route: APIRoute = request.scope["route"]
        check_parameters(request, query_parameters(route.endpoint, route.path_format))


def check_parameters(request: Request, known: tuple[str, ...]) -> None:
    """Raises Problem 422 for query parameters that are not ``known``."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise unknown_parameters(unknown, known)
