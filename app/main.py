"""The API process: wires the application and starts the server."""

import asyncio
import gc
import logging
import os
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits

from flawsmith.app import carried_counts, problems
from flawsmith.app.auth import AccessControl
from flawsmith.app.body_limit import MAX_JSON_BYTES, BodyLimit
from flawsmith.app.bundle_files import BundleFiles
from flawsmith.app.call_audit import CallAudit
from flawsmith.app.call_limits import CallLimits
from flawsmith.app.connections import BoundedProtocol, raise_descriptor_limit
from flawsmith.app.cors import CrossOrigin
from flawsmith.app.draining import Drain, DrainingRequests
from flawsmith.app.events import Events
from flawsmith.app.head_requests import HeadRequests
from flawsmith.app.instrumentation import Instrumentation
from flawsmith.app.keyring import keyring_of
from flawsmith.app.model_references import ModelReferences
from flawsmith.app.octet_streams import OctetStreams
from flawsmith.app.openapi import DocumentedApp
from flawsmith.app.query_parameters import refuse_unknown_parameters
from flawsmith.app.readiness import Readiness
from flawsmith.app.root_path import RootPath
from flawsmith.app.routes import (
    aliases,
    bundles,
    comparisons,
    datasets,
    documents,
    evaluations,
    generate,
    inference_protocol,
    labellings,
    models,
    operations,
    page,
    quality_floors,
    reports,
    webhooks,
)
from flawsmith.app.sampling.client import SamplingClient
from flawsmith.app.scrape import Scrape
from flawsmith.core.cpus import usable_cpus
from flawsmith.core.domain.composition_request import MOST_CHARACTERS
from flawsmith.core.domain.jobs import load_object
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.job_kinds import job_kinds
from flawsmith.core.live.connections import API_RETRIES, QUICK_SECONDS, connect_async, image_redis_url, redis_url
from flawsmith.core.live.server_version import warn_of_vulnerable_server
from flawsmith.core.live.unused_keys import drop_unused_keys
from flawsmith.core.logs import configure_logging
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings, get_settings
from flawsmith.core.store.opened import QUICK_STORE_SECONDS
from flawsmith.core.tracing import configure_tracing
from flawsmith.core.unknown_settings import warn_of_unknown_settings

log = logging.getLogger(__name__)

LARGER_BODIES = {"/compositions": MOST_CHARACTERS + MAX_JSON_BYTES}  # a background and a mask of it in base64
CONCURRENT_INGESTS = 2  # each has a decoder process, which holds one decoded photograph in memory
CORES_PER_PROCESS = 4  # the other three are for the sampling worker and Redis
UPLOADS = re.compile(r"/datasets(?:/[^/]+/photographs)?|/models/import")  # the paths whose bodies are files
CLOSE_SECONDS = 2  # for connections, once the calls have ended or their time is over
DESCRIPTION = """Trains a GAN on a few photographs of defects and serves synthetic ones.

- Errors are `application/problem+json`; `detail` says what was wrong and what would be right.
- Where keys are set, calls send `Authorization: Bearer KEY`; each says the scope that it needs.
- A change with an `Idempotency-Key` is made once. 429 and 503 say when to try again, in `Retry-After`.
- An image's address (version, defect type, seed) has the same bytes for ever.

[llms.txt](llms.txt) lists the pages of the documentation."""


def create_app(settings: Settings) -> FastAPI:
    """Wires the routes, middleware and services. A server runs the result inside `instrumented`."""
    PRESETS.load(settings.extra_preset_packages)
    keyring = keyring_of(settings)
    app = DocumentedApp(
        settings,
        keyring,
        title="Flawsmith",
        description=DESCRIPTION,
        version=version("flawsmith"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=partial(_lifespan, settings),
        dependencies=[Depends(refuse_unknown_parameters)],
        telemetry={"tracing": False, "metrics": False, "logs": False},  # `Instrumentation` does this
    )
    origins = settings.origins
    app.add_middleware(BodyLimit, unlimited=UPLOADS, larger=LARGER_BODIES)
    app.add_middleware(CallLimits, settings=settings)
    app.add_middleware(AccessControl, keyring=keyring, public_documents=settings.public_documents, origins=origins)
    app.add_middleware(CallAudit)
    app.add_middleware(HeadRequests)
    app.add_middleware(OctetStreams)
    app.state.keyring = keyring
    app.state.drain = Drain(settings.drain_seconds)
    app.add_middleware(DrainingRequests, drain=app.state.drain)
    if origins:
        app.add_middleware(CrossOrigin, origins=origins)
    if settings.root_path:
        app.add_middleware(RootPath, root_path=settings.root_path)
    problems.install(app)
    # In front and not included: FastAPI searches an included router twice in each call.
    app.router.routes[:0] = generate.router.routes
    for router in (
        datasets.router,
        datasets.repeatable,
        *(load_object(kind.router) for kind in job_kinds()),
        evaluations.of_version,
        bundles.router,
        models.router,
        aliases.router,
        quality_floors.router,
        reports.of_version,
        comparisons.of_version,
        labellings.of_version,
        webhooks.router,
        webhooks.messages,
        operations.router,
        inference_protocol.router,
        documents.router,
        page.router,
    ):
        app.include_router(router)
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    """Connects the services that the routes use, and runs the reaper beside them."""
    threadpool_limits(
        1, "blas"
    )  # the products of `PhotographComparison` are small, and the cores belong to the workers
    app.state.services = Services(settings, API_RETRIES, QUICK_SECONDS, QUICK_STORE_SECONDS)
    for server in app.state.services.redis_servers.values():
        await run_in_threadpool(warn_of_vulnerable_server, server)
    await run_in_threadpool(drop_unused_keys, app.state.services.redis, app.state.services.image_redis)
    app.state.references = ModelReferences(app.state.services.registry)
    app.state.redis = app.state.image_redis = connect_async(settings)
    if len(app.state.services.redis_servers) > 1:
        app.state.image_redis = connect_async(settings, image_redis_url(settings))
    app.state.events = Events(app.state.redis)
    app.state.sampling = SamplingClient(app.state.services, app.state.redis, app.state.image_redis)
    app.state.readiness = Readiness()
    app.state.scrape = Scrape(app.state.services)
    app.state.bundles = BundleFiles(app.state.services.store)
    app.state.ingests = asyncio.Semaphore(CONCURRENT_INGESTS)
    app.state.services.store.sweep()
    # Imported modules live as long as the process: freezing them keeps garbage collection pauses short.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    stop = threading.Event()
    app.state.keyring.watch(stop)
    app.state.services.start_reaper(stop)
    app.state.services.start_webhooks(stop)
    app.state.drain.before_exit(app.state.events.end_all)
    yield
    stop.set()
    app.state.scrape.close()
    await app.state.sampling.close()
    await app.state.events.close()
    for client in {app.state.redis, app.state.image_redis}:
        await client.aclose()


def instrumented(app: FastAPI) -> ASGIApp:
    """Wraps the application in the request instrumentation, outside FastAPI's handler of unexpected errors."""
    return Instrumentation(app)


def application() -> ASGIApp:
    """The application factory of each server process."""
    settings = get_settings()
    configure_logging(settings, "api")
    configure_tracing(settings, "api")
    return instrumented(create_app(settings))


def run_api() -> None:
    """Runs the API's processes until SIGTERM. Without API keys it binds to loopback only, and logs a warning."""
    settings = get_settings()
    configure_logging(settings, "api")
    warn_of_unknown_settings()
    redis_url(settings)  # raises UnsafeSocketFolder
    host = listening_host(settings)
    processes = settings.api_processes or max(1, usable_cpus() // CORES_PER_PROCESS)
    log.info("API on http://%s:%d, processes: %d", host, settings.port, processes)
    raise_descriptor_limit()
    with TemporaryDirectory(prefix="flawsmith-metrics-") as folder:
        if settings.metrics_file:
            carried_counts.begin(settings.metrics_file, Path(folder))
        if processes > 1:  # prometheus_client reads this at import, and merges the processes' counts
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            "flawsmith.app.main:application",
            factory=True,
            workers=processes,
            host=host,
            port=settings.port,
            http=BoundedProtocol,
            ws="none",  # after an upgrade to a WebSocket no bound would hold
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,  # "" would otherwise be read as loopback
        )


def listening_host(settings: Settings) -> str:
    """The address to listen on: loopback where no keys are needed. Where they are, all processes are told so."""
    if keyring_of(settings).required:
        os.environ["FLAWSMITH_REQUIRE_KEYS"] = "true"  # also of a process that starts while the store is away
        get_settings.cache_clear()
        return settings.host
    host = settings.host
    if host not in ("127.0.0.1", "::1", "localhost"):
        log.warning("FLAWSMITH_HOST=%s is ignored because FLAWSMITH_API_KEYS is not set, and no key is stored", host)
        host = "127.0.0.1"
    log.warning("FLAWSMITH_API_KEYS is not set: everyone on this machine may call; bound to %s only", host)
    return host
