"""A service whose images have a Redis of their own, which dies and comes back without what it held."""

from collections.abc import Iterator

import pytest
from tests.conftest import SMALL_JOB, Service, photograph, start_service, stop_service, until, zipped
from tests.second_redis import SecondRedis

from flawsmith.core.live import keys


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondRedis]:
    server = SecondRedis(tmp_path_factory.mktemp("second") / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def split_service(second: SecondRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the second server, and the trained version `model@1`."""
    service = start_service(tmp_path_factory.mktemp("split"), image_redis_url=second.url)
    assert service.upload("set", zipped({f"{i}.png": photograph(i) for i in range(4)})).status_code == 201
    assert service.train("set", "model", steps=2)["state"] == "succeeded"
    yield service
    stop_service(service)


def new_seeds(service: Service, count: int) -> set[int]:
    """The seeds of new images, each of which was made."""
    answer = service.client.post(
        "/generate", json={"model": "model@1", "count": count, "format": "json", "deadline_seconds": 55}
    )
    assert answer.status_code == 200, answer.text
    images = answer.json()["images"]
    assert all(each["data"] for each in images)
    return {each["seed"] for each in images}


def at_address(service: Service) -> bytes:
    answer = service.client.get("/models/model/versions/1/images/7.png")
    assert answer.status_code == 200, answer.text
    return answer.content


def test_while_only_the_second_server_is_dead_the_rest_is_served_and_then_all_of_it(
    split_service: Service, second: SecondRedis
) -> None:
    client, before, picture = split_service.client, new_seeds(split_service, 40), at_address(split_service)
    second.kill()

    for answer in (
        client.post("/generate", json={"model": "model@1", "format": "png"}),
        client.post("/generate", json={"model": "model@1", "count": 200}),
        client.get("/models/model/versions/1/images/8.png"),
    ):
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) >= 1
    assert client.get("/healthz").status_code == 200
    until(lambda: client.get("/readyz").json()["missing"] == ["image redis"], 5, "/readyz names the server")
    for path in ("/datasets", "/models/model", "/training-jobs", "/metrics"):
        assert client.get(path).status_code == 200, path
    job = client.post("/training-jobs", json={"dataset": "set", "model": "model", **SMALL_JOB, "steps": 2})
    assert job.status_code == 202
    assert split_service.ended(job.json()["id"])["state"] == "succeeded"

    second.start()
    until(split_service.ready, 30, "the service is ready again")
    after = new_seeds(split_service, 40)
    assert len(before) == len(after) == 40
    assert not before & after
    assert at_address(split_service) == picture


def test_the_first_server_has_no_image_and_no_queue_of_images(split_service: Service, second: SecondRedis) -> None:
    new_seeds(split_service, 2)
    at_address(split_service)
    of_images = (keys.POOLS, keys.NEXT_SEED, keys.SAMPLING_QUEUE, keys.SAMPLER, keys.CACHED_IMAGE, keys.inbox(""))
    first = [each.decode() for each in split_service.redis.scan_iter()]
    assert not [each for each in first if each.startswith((*of_images, keys.workers("sample"), keys.CACHED_BY_AGE))]
    on_second = {each.decode() for each in second.client.scan_iter()}
    assert any(each.startswith(keys.POOLS) for each in on_second)
    assert not [each for each in on_second if each.startswith((keys.job(""), f"{keys.PREFIX}:jobs:"))]
