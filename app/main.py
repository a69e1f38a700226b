"""The API process: wiring and lifespan, nothing else."""

import asyncio
import gc
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from tempfile import TemporaryDirectory

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from flawsmith.app import problems
from flawsmith.app.admission import Admission, CallerRate
from flawsmith.app.body_limit import BodyLimit
from flawsmith.app.events import Events
from flawsmith.app.instrumentation import Observation
from flawsmith.app.routes import datasets, generate, models, operations
from flawsmith.app.sampling import Sampling
from flawsmith.core.domain.jobs import load_object
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.job_kinds import job_kinds
from flawsmith.core.live.connections import API_RETRIES, QUICK_SECONDS, connect_async
from flawsmith.core.logs import configure_logging
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings, get_settings

log = logging.getLogger(__name__)

INGESTS_AT_ONCE = 2  # each holds one decoded photograph in memory
CORES_A_PROCESS = 4  # the other three draw, and serve Redis
DRAIN_SECONDS = 8  # of `docker stop`'s ten, for requests in hand


def create_app(settings: Settings) -> FastAPI:
    """The application, wired; `observed` it is what a server runs."""
    PRESETS.load(settings.extra_preset_packages)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services = Services(settings, API_RETRIES, QUICK_SECONDS)
        app.state.redis = connect_async(settings)
        app.state.events = Events(app.state.redis)
        app.state.caller_rate = CallerRate(app.state.redis, settings)
        app.state.sampling = Sampling(app.state.services, app.state.redis)
        app.state.ingests = asyncio.Semaphore(INGESTS_AT_ONCE)
        app.state.services.store.sweep()
        # What was imported stays; to look through all of it again and again would halt every request meanwhile.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        stop = threading.Event()
        app.state.services.start_reaper(stop)
        yield
        stop.set()
        await app.state.sampling.close()
        await app.state.events.close()
        await app.state.redis.aclose()

    app = FastAPI(
        title="Flawsmith",
        description="Trains a GAN on a few photographs of defects and serves synthetic ones.",
        version=version("flawsmith"),
        lifespan=lifespan,
        strict_content_type=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # what is seen of a request is `Observation`'s
    )
    app.add_middleware(BodyLimit, unlimited=frozenset({"/datasets"}))
    app.add_middleware(Admission, keys=settings.keys)
    problems.install(app)
    for router in (
        generate.router,  # the first that a path is held against: it is asked for most
        datasets.router,
        datasets.repeatable,
        *(load_object(kind.router) for kind in job_kinds()),
        models.router,
        operations.router,
    ):
        app.include_router(router)
    return app


def observed(app: FastAPI) -> ASGIApp:
    """The application within what is seen of every request, its unexpected errors included."""
    return Observation(app)


def application() -> ASGIApp:
    """What a server process runs."""
    settings = get_settings()
    configure_logging(settings, "api")
    return observed(create_app(settings))


def run_api() -> None:
    """Runs the API's processes until SIGTERM; blocks. Without keys it binds to loopback only, and says so."""
    settings = get_settings()
    configure_logging(settings, "api")
    host = settings.host
    if not settings.keys:
        if host not in ("127.0.0.1", "::1", "localhost"):
            log.warning("FLAWSMITH_HOST=%s is not used without FLAWSMITH_API_KEYS", host)
            host = "127.0.0.1"
        log.warning("no FLAWSMITH_API_KEYS are set: everybody on this machine may call; bound to %s only", host)
    processes = settings.api_processes or max(1, (os.cpu_count() or 1) // CORES_A_PROCESS)
    log.info("API on http://%s:%d, processes: %d", host, settings.port, processes)
    with TemporaryDirectory(prefix="flawsmith-metrics-") as folder:
        if processes > 1:  # their counts come pipeline in files; read when prometheus_client is imported, in each
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            "flawsmith.app.main:application",
            factory=True,
            workers=processes,
            host=host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
