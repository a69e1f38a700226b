"""Fixtures for tests of the API's parts on small applications, without a running service."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient
from tests.conftest import SMALL_JOB, photograph, zipped

from flawsmith.app.main import create_app
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings


@pytest.fixture
def redis_settings(redis_server: Path, empty_redis: redis.Redis) -> Settings:
    """Settings whose Redis is the embedded server, with an empty database."""
    return Settings(data_dir=redis_server)


@pytest.fixture
def make_api(redis_settings: Settings, tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Makes a client of the whole API without workers, on an empty artifact store, with settings of the test."""
    # The socket of the server is in its data folder; the artifacts are in a folder of this test.
    socket = redis_settings.data_dir / "redis" / "redis.sock"
    with ExitStack() as stack:

        def make(**changes: Any) -> TestClient:
            settings = Settings(data_dir=tmp_path, redis_url=f"unix://{socket}", **changes)
            # an uncaught error fails the test
            return stack.enter_context(TestClient(create_app(settings), base_url="http://localhost"))

        yield make


@pytest.fixture
def api(make_api: Callable[..., TestClient]) -> TestClient:
    """A client of the whole API without workers, on an empty artifact store."""
    return make_api()


@pytest.fixture
def services(api: TestClient) -> Services:
    """What the API of `api` works with."""
    found: Services = api.app.state.services  # type: ignore[attr-defined]
    return found


@pytest.fixture
def version(services: Services) -> ModelVersion:
    """A published version, `steel@1`; its generator is only bytes."""
    with services.store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(bytes(range(250)) * 4)
        return services.registry.publish(
            "steel",
            staged,
            classes=["crazing", "scratches"],
            resolution=32,
            mode="L",
            preset="dcgan",
            config={},
            training_job="job-1",
            dataset_digest="digest",
            weights_sha256="weights",
        )


@pytest.fixture
def dataset(api: TestClient) -> str:
    """The id of a dataset named `set`."""
    files = {f"pits/{number}.png": photograph(number) for number in range(3)}
    answer = api.post("/datasets", data={"name": "set"}, files={"archive": zipped(files)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def job(api: TestClient, dataset: str) -> str:
    """The id of a queued job."""
    answer = api.post("/training-jobs", json={"dataset": dataset, "model": "steel", **SMALL_JOB})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def line(redis_settings: Settings, tmp_path: Path) -> Iterator[TestClient]:
    """Another site, without a version: the API and its artifact store."""
    socket = redis_settings.data_dir / "redis" / "redis.sock"
    settings = Settings(data_dir=tmp_path / "line", redis_url=f"unix://{socket}")
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client
