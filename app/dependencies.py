"""FastAPI dependencies of the routes."""

from typing import Annotated

from fastapi import Depends, Request

from flawsmith.app.caller import caller_of
from flawsmith.core.services import Services


async def _services(request: Request) -> Services:
    # `async`, though it awaits nothing: FastAPI runs plain functions in a thread.
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
"""This process's `Services`."""


async def _caller(request: Request) -> str:
    return caller_of(request)


CallerDep = Annotated[str, Depends(_caller)]
"""Who makes the request, see `caller_of`."""
