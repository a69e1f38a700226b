"""Submitting a job with an Idempotency-Key, where the API dies in the middle of the call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.conftest import until
from tests.counting import routes
from tests.counting.kind import KIND

from flawsmith.app import idempotency, problems
from flawsmith.app.idempotency import Idempotency
from flawsmith.core import services as core_services
from flawsmith.core.live.connections import connect_async
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings


@pytest.fixture
def services(redis_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    monkeypatch.setattr(core_services, "job_kinds", lambda: (KIND,))
    services = Services(redis_settings)
    services.store.root = tmp_path
    return services


def test_the_job_of_a_call_that_died_is_the_answer_of_the_repeated_call(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services, app.state.redis = services, connect_async(services.settings)
        yield
        await app.state.redis.aclose()

    app = FastAPI(lifespan=lifespan)
    problems.install(app)
    app.include_router(routes.router)
    monkeypatch.setattr(idempotency, "LEASE_SECONDS", 0.5)

    async def died(self: Idempotency, answer: object = None) -> None:
        self._stop_renewing()
        raise RuntimeError("the process is gone")

    with TestClient(app, raise_server_exceptions=False) as client:

        def post() -> dict[str, str] | None:
            answer = client.post("/countings", json={"numbers": 3}, headers={"Idempotency-Key": "k"})
            assert answer.status_code in (202, 409), answer.text
            return answer.json() if answer.status_code == 202 else None

        with monkeypatch.context() as patch:
            patch.setattr(Idempotency, "keep", died)
            patch.setattr(Idempotency, "forget", died)
            client.post("/countings", json={"numbers": 3}, headers={"Idempotency-Key": "k"})
        [made] = services.jobs.page(KIND, None, 10, None)
        answer = until(post, 5, "the lease of the call that died expires")
        assert answer["id"] == made.id
        assert post() == answer
    assert services.jobs.page(KIND, None, 10, None) == [made]
