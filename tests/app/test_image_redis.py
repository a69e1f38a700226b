"""The API with a second Redis for what may be lost, without workers."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from tests.second_redis import SecondRedis

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.housekeeping.backup import write_backup
from flawsmith.core.housekeeping.counters import drop_counters
from flawsmith.core.housekeeping.restore import restore_backup
from flawsmith.core.live import keys
from flawsmith.core.live.task_queues import QUEUES, SAMPLE, TRAIN, announce
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings

pytestmark = pytest.mark.usefixtures("lasting_heartbeats")

SEEDS = f"{keys.NEXT_SEED}steel@1\nscratches"


@pytest.fixture
def second(tmp_path: Path) -> Iterator[SecondRedis]:
    server = SecondRedis(tmp_path / "second")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def api(second: SecondRedis, make_api: Callable[..., TestClient]) -> TestClient:
    return make_api(image_redis_url=second.url)


def samples(api: TestClient) -> dict[tuple[str, str], float]:
    """Value of each metric of the site by its name and the label that says of what it is."""
    families = text_string_to_metric_families(api.get("/metrics").text)
    found = [sample for family in families for sample in family.samples]
    return {(each.name, each.labels.get("server") or each.labels.get("queue", "")): each.value for each in found}


def test_new_seeds_and_the_queue_of_images_are_on_the_second_server_alone(
    api: TestClient, version: ModelVersion, second: SecondRedis, empty_redis: redis.Redis
) -> None:
    body = {"model": "steel@1", "count": 2, "format": "json"}
    assert api.post("/generate?data=false", json=body).status_code == 200
    announce(second.client, SAMPLE, "sample-1", "host:1")
    late = api.post("/generate", json={"model": "steel@1", "deadline_seconds": 0.1})
    assert late.status_code == 504
    assert second.client.exists(SEEDS)
    assert second.client.exists(f"{keys.PREFIX}:broker:{SAMPLE}") or second.client.exists(f"{keys.SAMPLER}woken")
    names = [each.decode().removeprefix(f"{keys.PREFIX}:") for each in empty_redis.scan_iter()]
    assert {each.partition(":")[0] for each in names} <= {"jobs", "write-probe", "drift-look", "webhooks"}


def test_readiness_names_the_server_that_is_away(
    api: TestClient, second: SecondRedis, empty_redis: redis.Redis
) -> None:
    announce(empty_redis, TRAIN, "train-1", "host:1")
    announce(empty_redis, SAMPLE, "sample-0", "host:1")  # of a process without the setting: nobody sees it
    assert api.get("/readyz").json()["missing"] == ["no live worker for queue 'sample'"]
    second.kill()
    services: Services = api.app.state.services  # type: ignore[attr-defined]
    api.app.state.readiness._until = 0.0  # type: ignore[attr-defined]
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["image redis"])
    assert services.queues.live_workers(TRAIN).keys() == {"train-1"}


def test_a_full_second_server_is_named(api: TestClient, second: SecondRedis, empty_redis: redis.Redis) -> None:
    announce(empty_redis, TRAIN, "train-1", "host:1")
    second.client.config_set("maxmemory", 1)
    assert api.get("/readyz").json()["missing"] == ["image redis: full, it refuses writes; raise its maxmemory"]


def test_metrics_show_each_part_from_the_server_that_has_it(
    api: TestClient, second: SecondRedis, empty_redis: redis.Redis
) -> None:
    announce(empty_redis, TRAIN, "train-1", "host:1")
    announce(second.client, SAMPLE, "sample-1", "host:1")
    found = samples(api)
    assert found["flawsmith_redis_up", "main"] == found["flawsmith_redis_up", "images"] == 1
    for queue in QUEUES:
        assert found["flawsmith_worker_heartbeat_age_seconds", queue] < 6
    assert found["flawsmith_redis_memory_used_bytes", "images"] > 0
    second.kill()
    found = samples(api)
    assert (found["flawsmith_redis_up", "main"], found["flawsmith_redis_up", "images"]) == (1, 0)
    assert ("flawsmith_queue_messages", TRAIN) in found
    assert ("flawsmith_queue_messages", SAMPLE) not in found
    assert ("flawsmith_waiting_images", "") not in found


def test_images_of_the_time_before_the_second_server_are_removed_from_the_first(
    second: SecondRedis, make_api: Callable[..., TestClient], empty_redis: redis.Redis
) -> None:
    moved = [
        "pool:names",
        "pool:images:m@1\npits",
        "seed:m@1\npits",
        "turn:m@1",
        "sampling-queue:total",
        "sampler:woken",
    ]
    moved += ["image:m@1\n1:pits", "images", "images:bytes", "inbox:1", "workers:sample"]
    kept = ["job:job-1:lease", "idempotency:1", "quota:images:1"]
    for name in moved + kept:
        empty_redis.set(f"{keys.PREFIX}:{name}", 1)
    second.client.set(SEEDS, 1)
    make_api(image_redis_url=second.url)
    left = [name for name in moved + kept if empty_redis.exists(f"{keys.PREFIX}:{name}")]
    assert left == kept
    assert second.client.exists(SEEDS)


def test_another_address_of_the_same_server_is_no_second_one(
    make_api: Callable[..., TestClient], redis_server: Path, empty_redis: redis.Redis
) -> None:
    empty_redis.set(SEEDS, 1)
    make_api(image_redis_url=f"unix://{redis_server}/redis/../redis/redis.sock")
    assert empty_redis.exists(SEEDS)


def test_a_backup_has_the_counters_of_the_second_server_and_restores_them_there(
    services: Services, version: ModelVersion, second: SecondRedis, redis_server: Path, tmp_path: Path
) -> None:
    second.client.hset(SEEDS, mapping={"next": 7, "run": "r"})
    stream = io.BytesIO()
    write_backup(services, stream)
    main = f"unix://{redis_server}/redis/redis.sock?db=9"
    settings = Settings(data_dir=tmp_path / "other", redis_url=main, image_redis_url=f"{second.url}?db=9")
    other = Services(settings)
    other.redis.flushdb()
    stream.seek(0)
    restore_backup(other, stream)
    assert other.image_redis.hgetall(SEEDS) == {b"next": b"7", b"run": b"r"}
    assert not other.redis.exists(SEEDS)


def test_a_backup_can_be_made_while_the_second_server_is_away(
    services: Services, version: ModelVersion, second: SecondRedis, caplog: pytest.LogCaptureFixture
) -> None:
    second.kill()
    stream = io.BytesIO()
    assert any(each.endswith("versions/1/card.json") for each in write_backup(services, stream).files)
    assert "no seed counters" in caplog.text


def test_counters_of_the_second_server_are_dropped_with_their_version(
    services: Services, version: ModelVersion, second: SecondRedis
) -> None:
    second.client.hset(SEEDS, mapping={"next": 7, "run": "r"})
    second.client.hset(f"{keys.NEXT_SEED}gone@1\npits", mapping={"next": 7, "run": "r"})
    drop_counters(services)
    assert second.client.keys(f"{keys.NEXT_SEED}*") == [SEEDS.encode()]
