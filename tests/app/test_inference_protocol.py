"""Health and readiness as the Open Inference Protocol names them."""

from collections.abc import Callable

import redis
from starlette.testclient import TestClient

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live.task_queues import SAMPLE, TRAIN, announce


def test_live_while_the_process_runs_and_ready_with_all_workers(api: TestClient, empty_redis: redis.Redis) -> None:
    assert (api.get("/v2/health/live").status_code, api.get("/v2/health/live").json()) == (200, {"live": True})
    waiting = api.get("/v2/health/ready")
    assert (waiting.status_code, waiting.headers["content-type"]) == (503, "application/problem+json")
    assert waiting.headers["retry-after"]
    assert waiting.json()["ready"] is False
    assert any(TRAIN in each for each in waiting.json()["missing"])


def test_ready_with_a_worker_for_each_queue(api: TestClient, empty_redis: redis.Redis) -> None:
    for queue in (TRAIN, SAMPLE):
        announce(empty_redis, queue, f"{queue}-1", "")
    assert (api.get("/v2/health/ready").status_code, api.get("/v2/health/ready").json()) == (200, {"ready": True})


def test_a_model_is_ready_where_a_worker_can_make_its_images(
    api: TestClient, version: ModelVersion, empty_redis: redis.Redis
) -> None:
    assert api.get("/v2/models/steel/ready").status_code == 503
    assert api.get("/v2/models/steel/ready").json()["ready"] is False
    announce(empty_redis, SAMPLE, "sample-1", "")
    assert api.get("/v2/models/steel/ready").json() == {"name": "steel", "ready": True}
    assert api.get("/v2/models/steel/versions/1/ready").json() == {"name": "steel", "ready": True}
    for path in ("/v2/models/none/ready", "/v2/models/steel/versions/2/ready", "/v2/models/steel/versions/x/ready"):
        assert (api.get(path).status_code, api.get(path).json()["type"]) == (404, "urn:flawsmith:not-found"), path


def test_probes_of_health_need_no_key_and_those_of_models_do(make_api: Callable[..., TestClient]) -> None:
    client = make_api(api_keys="G:generate")
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/models/steel/ready").status_code == 401
    assert client.get("/v2/models/steel/ready", headers={"Authorization": "Bearer G"}).status_code == 404
