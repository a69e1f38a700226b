"""Submitting a job with an Idempotency-Key, where the API dies in the middle of the call."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
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


@dataclass
class Api:
    """The API's calls of counting jobs, and how it dies in the middle of one."""

    client: TestClient
    services: Services
    patch: pytest.MonkeyPatch

    def post(self, path: str, body: dict[str, int] | None = None) -> dict[str, str] | None:
        """The answer's body; None while another call with the key is in flight."""
        answer = self.client.post(path, json=body, headers={"Idempotency-Key": "k"})
        assert answer.status_code in (202, 409), answer.text
        return answer.json() if answer.status_code == 202 else None

    def die_in(self, path: str, body: dict[str, int] | None = None) -> None:
        """Calls; the process ends when the work is done and the answer is not yet kept."""

        async def die(idempotency: Idempotency, answer: object = None) -> None:
            idempotency._stop_renewing()
            raise RuntimeError("the process is gone")

        with self.patch.context() as patch:
            patch.setattr(Idempotency, "keep", die)
            patch.setattr(Idempotency, "forget", die)
            assert self.client.post(path, json=body, headers={"Idempotency-Key": "k"}).status_code == 500


@pytest.fixture
def api(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services, app.state.redis = services, connect_async(services.settings)
        yield
        await app.state.redis.aclose()

    app = FastAPI(lifespan=lifespan)
    problems.install(app)
    app.include_router(routes.router)
    monkeypatch.setattr(idempotency, "LEASE_SECONDS", 0.5)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(client, services, monkeypatch)


def test_the_job_of_a_call_that_died_is_the_answer_of_the_repeated_call(api: Api) -> None:
    body = {"numbers": 3}
    api.die_in("/countings", body)
    [made] = api.services.jobs.page(KIND, None, 10, None)
    answer = until(lambda: api.post("/countings", body), 5, "the lease of the call that died expires")
    assert answer["id"] == made.id
    assert api.post("/countings", body) == answer
    assert api.services.jobs.page(KIND, None, 10, None) == [made]


def test_a_repeated_resume_takes_over_from_the_call_that_died(api: Api) -> None:
    job = api.client.post("/countings", json={"numbers": 3}).json()["id"]
    api.services.jobs.cancel(job)
    api.die_in(f"/countings/{job}/resume")
    answer = until(lambda: api.post(f"/countings/{job}/resume"), 5, "the lease of the call that died expires")
    assert (answer["id"], answer["state"]) == (job, "queued")
    refused = api.client.post(f"/countings/{job}/resume", headers={"Idempotency-Key": "another"})
    assert refused.status_code == 409
