"""What the routes are handed: this process's services."""

from typing import Annotated

from fastapi import Depends, Request

from core.services import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Site = Annotated[Services, Depends(_services)]
