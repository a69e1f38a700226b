"""Refuses unknown query parameters, as unknown keys of a body are refused, and repeated ones.

A mistyped one would go unnoticed, and of two values one.
"""

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from flawsmith.app.endpoint_signature import query_parameters
from flawsmith.app.problems import invalid, unknown_parameters


async def refuse_unknown_parameters(request: Request) -> None:
    """A dependency of every route. Raises Problem 422 that names the known parameters."""
    if request.scope["query_string"]:
        route: APIRoute = request.scope["route"]
        check_parameters(request, query_parameters(route.endpoint, route.path_format))


def refuse_on_pages(app: FastAPI) -> None:
    """The same for the routes of a new application, FastAPI's own pages, which run no dependencies."""
    for route in app.router.routes:
        if isinstance(route, Route):
            route.app = _without_parameters(route.app)


def _without_parameters(page: ASGIApp) -> ASGIApp:
    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        check_parameters(Request(scope), ())
        await page(scope, receive, send)

    return checked


def check_parameters(request: Request, known: tuple[str, ...]) -> None:
    """Raises Problem 422 for query parameters that are not ``known``, or that come more than once."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise unknown_parameters(unknown, known)
    names = [name for name, _ in request.query_params.multi_items()]
    for name in known:
        if names.count(name) > 1:
            raise invalid(f"/query/{name}", f"it stands there {names.count(name)} times; send it once")
