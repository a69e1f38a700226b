"""The API process: wiring and lifespan, nothing else."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from app import problems
from app.admission import Admission
from app.body_limit import BodyLimit
from app.events import Events
from app.observation import Observation
from app.routes import datasets, generate, models, operations, training_jobs
from core.connections import API_RETRIES, QUICK_SECONDS, connect_async
from core.logs import configure_logging
from core.reaper import Reaper
from core.services import Services
from core.settings import Settings, get_settings

log = logging.getLogger(__name__)

INGESTS_AT_ONCE = 2  # each holds one decoded photograph in memory
DRAIN_SECONDS = 8  # of `docker stop`'s ten, for requests in hand


def create_app(settings: Settings) -> FastAPI:
    """The application, wired; `observed` it is what a server runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services = Services(settings, API_RETRIES, QUICK_SECONDS)
        app.state.redis = connect_async(settings)
        app.state.events = Events(app.state.redis)
        app.state.ingests = asyncio.Semaphore(INGESTS_AT_ONCE)
        app.state.services.store.sweep()
        stop = threading.Event()
        Reaper(app.state.services).start(stop)
        yield
        stop.set()
        await app.state.events.close()
        await app.state.redis.aclose()

    app = FastAPI(
        title="Flawsmith",
        description="Trains a GAN on a few photographs of defects and serves synthetic ones.",
        version=version("flawsmith"),
        lifespan=lifespan,
        strict_content_type=False,
    )
    app.add_middleware(BodyLimit, unlimited=frozenset({"/datasets"}))
    app.add_middleware(Admission, keys=settings.keys)
    problems.install(app)
    for router in (
        datasets.router,
        datasets.repeatable,
        training_jobs.router,
        models.router,
        generate.router,
        operations.router,
    ):
        app.include_router(router)
    return app


def observed(app: FastAPI) -> ASGIApp:
    """The application within what is seen of every request, its unexpected errors included."""
    return Observation(app)


def run_api() -> None:
    """Runs the API until SIGTERM; blocks. Without keys it binds to loopback only, and says so."""
    settings = get_settings()
    configure_logging(settings)
    host = settings.host
    if not settings.keys:
        if host not in ("127.0.0.1", "::1", "localhost"):
            log.warning("FLAWSMITH_HOST=%s is not used without FLAWSMITH_API_KEYS", host)
            host = "127.0.0.1"
        log.warning("no FLAWSMITH_API_KEYS are set: everybody on this machine may call; bound to %s only", host)
    log.info("API on http://%s:%d", host, settings.port)
    uvicorn.run(
        observed(create_app(settings)),
        host=host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
