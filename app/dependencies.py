"""What the routes are handed: this process's services."""

from typing import Annotated

from fastapi import Depends, Request

from flawsmith.core.services import Services


async def _services(request: Request) -> Services:
    # Asynchronous, though it waits for nothing: FastAPI hands every other function to a thread.
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
