"""FastAPI dependencies of the routes."""

from typing import Annotated

from fastapi import Depends, Request

from flawsmith.core.services import Services


async def _services(request: Request) -> Services:
    # `async`, though it awaits nothing: FastAPI runs plain functions in a thread.
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
"""This process's `Services`."""
