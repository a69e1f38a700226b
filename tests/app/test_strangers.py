"""The whole API as strangers meet it, with a Redis and a store, and with a sampling worker that is played."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from fastapi import Request
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped

from flawsmith.app import readiness
from flawsmith.app.image_request import ImageRequest
from flawsmith.app.main import create_app
from flawsmith.app.problems import Problem
from flawsmith.app.sampling.client import SamplingClient
from flawsmith.app.sampling.images import Images
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.live import keys
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry

Api = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture
def api(redis_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Starts the API with some settings; the value is its client. There is a model `steel`."""
    store = ArtifactStore(tmp_path / "data" / "artifacts")
    with store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(b"weights")
        card: dict[str, Any] = {"classes": ["scratches"], "resolution": 32, "mode": "L", "preset": "dcgan"}
        origin = {"config": {}, "training_job": "job", "dataset_digest": "d", "weights_sha256": "w"}
        Registry(store).publish("steel", staged, **card, **origin)
    own = {"data_dir": tmp_path / "data", "redis_url": f"unix://{redis_settings.data_dir}/redis/redis.sock"}

    async def sampled(self: SamplingClient, request: Request, wanted: ImageRequest) -> Images:
        if wanted.count == 13:
            raise Problem(429, "busy", "the queue is full")
        addresses = wanted.addresses or [Address("scratches", seed) for seed in range(wanted.count)]
        return Images(wanted.version, addresses, [b"png"] * wanted.count, "hit")

    monkeypatch.setattr(SamplingClient, "images", sampled)

    @contextmanager
    def started(**settings: Any) -> Iterator[TestClient]:
        app = create_app(redis_settings.model_copy(update={**own, **settings}))
        with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
            yield client

    return started


IMAGE = "/models/steel/versions/1/images/7.png"


def test_images_by_address_are_charged_as_all_others_are(api: Api) -> None:
    with api(caller_images_per_second=10.0) as client:
        assert [client.get(IMAGE).status_code for _ in range(10)] == [200] * 10
        assert client.post("/generate", json={"model": "steel", "count": 250}).status_code == 200
        refused = client.get(IMAGE)
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:flawsmith:busy")
        assert int(refused.headers["retry-after"]) > 0
        assert client.post("/generate", json={"model": "steel"}).status_code == 429


def test_a_quota_of_a_day_says_what_is_left_of_it_in_headers(api: Api) -> None:
    with api(caller_images_per_day=20) as client:
        first = client.post("/generate", json={"model": "steel", "count": 15})
        assert first.status_code == 200
        assert first.headers["ratelimit-policy"] == '"images-per-day";q=20;w=86400'
        assert first.headers["ratelimit"].startswith('"images-per-day";r=5;t=')
        refused = client.post("/generate", json={"model": "steel", "count": 6})
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:flawsmith:busy")
        assert "20 images a day, and 5 are left" in refused.json()["detail"]
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
        assert refused.headers["ratelimit"].startswith('"images-per-day";r=5;t=')
        assert [client.get(IMAGE).status_code for _ in range(5)] == [200] * 5
        assert client.get(IMAGE).status_code == 429
        assert client.get("/models").status_code == 200


def test_a_refused_request_does_not_lock_its_caller_out(api: Api) -> None:
    with api(caller_images_per_second=10.0) as client:
        for _ in range(20):
            refused = client.post("/generate", json={"model": "steel", "count": 13})
            assert refused.json()["detail"] == "the queue is full"
        for wrong in ({"model": "steel", "count": 257}, {"model": "nowhere", "count": 256}):
            assert client.post("/generate", json=wrong).status_code in (404, 422)
        assert client.get(f"{IMAGE}?defect_type=rust").status_code == 422
        assert client.get(IMAGE).status_code == 200


def test_a_repeated_call_is_charged_too(api: Api) -> None:
    with api(caller_images_per_second=10.0) as client:
        body, key = {"model": "steel", "count": 250}, {"Idempotency-Key": "again"}
        assert client.post("/generate", json=body, headers=key).status_code == 200
        assert client.post("/generate", json=body, headers=key).status_code == 429


def test_a_copy_that_is_current_is_not_charged(api: Api) -> None:
    with api(caller_images_per_second=10.0) as client:
        etag = client.get(IMAGE).headers["etag"]
        statuses = {client.get(IMAGE, headers={"If-None-Match": etag}).status_code for _ in range(50)}
        assert statuses == {304}


def test_images_are_public_without_keys_and_private_with_them(api: Api) -> None:
    with api() as client:
        assert client.get(IMAGE).headers["cache-control"] == "public, max-age=31536000, immutable"
    with api(api_keys="sesame:generate") as client:
        key = {"Authorization": "Bearer sesame"}
        for path in (IMAGE, "/models", "/models/steel", "/nowhere"):
            answer = client.get(path, headers=key)
            assert "private" in answer.headers["cache-control"]
            assert "public" not in answer.headers["cache-control"]
        etag = client.get(IMAGE, headers=key).headers["etag"]
        assert "private" in client.get(IMAGE, headers={**key, "If-None-Match": etag}).headers["cache-control"]


def test_a_foreign_page_changes_nothing_without_keys(api: Api) -> None:
    job = {"dataset": "csrf", "model": "csrf"}
    with api() as client:
        for headers in (
            {"Origin": "https://evil.example", "Content-Type": "application/json"},
            {"Host": "evil.example", "Content-Type": "application/json"},
            {"Origin": "null", "Content-Type": "text/plain"},
        ):
            for method, path in (("POST", "/training-jobs"), ("DELETE", "/models/steel/versions/1"), ("GET", IMAGE)):
                answer = client.request(method, path, json=job, headers=headers)
                assert (answer.status_code, answer.json()["type"]) == (403, "urn:flawsmith:foreign-page")
        typeless = client.post("/training-jobs", content=b'{"dataset": "csrf", "model": "csrf"}')
        assert (typeless.status_code, typeless.json()["type"]) == (415, "urn:flawsmith:unsupported-media-type")
        alias = client.put("/models/steel/aliases/production", content=b'{"version": 1}')
        assert alias.status_code == 415
        assert client.get(IMAGE).status_code == 200


def test_a_key_opens_the_service_to_pages_of_any_origin(api: Api) -> None:
    with api(api_keys="sesame:generate") as client:
        headers = {"Authorization": "Bearer sesame", "Origin": "https://shop.example", "Host": "flawsmith.example"}
        assert client.get(IMAGE, headers=headers).status_code == 200


@pytest.mark.parametrize("name", ["JOB:events", "JOB:history", "JOB:lease", "..%2f..%2fx", "job-*", "JOB%0A"])
def test_a_name_from_outside_is_never_part_of_another_key(api: Api, empty_redis: redis.Redis, name: str) -> None:
    with api() as client:
        job = KIND.new_job(
            config={}, progress=TrainingProgress(total_steps=1), model="m", dataset="ds-1", preset="dcgan"
        )
        client.app.state.services.jobs.create(job)
        empty_redis.xadd(keys.job_events(job.id), {"event": "state", "data": "{}"})
        path = "/training-jobs/" + name.replace("JOB", job.id)
        for method, call in (
            ("GET", path),
            ("GET", f"{path}/history"),
            ("GET", f"{path}/events"),
            ("POST", f"{path}/cancel"),
        ):
            answer = client.request(method, call)
            assert (answer.status_code, answer.json()["type"]) == (404, "urn:flawsmith:not-found")


def test_a_record_in_redis_with_a_path_as_its_id_writes_nothing_outside_the_store(
    api: Api, empty_redis: redis.Redis, tmp_path: Path
) -> None:
    evil = "../../../evil/x"
    with api() as client:
        job = KIND.new_job(
            config={}, progress=TrainingProgress(total_steps=1), model="m", dataset="ds-1", preset="dcgan"
        )
        record = job.model_copy(update={"id": evil}).model_dump_json()
        for name in (evil, job.id):
            empty_redis.set(keys.job(name), record)
            empty_redis.zadd(keys.jobs_in(KIND.index, "queued"), {name: 0})
            quoted = name.replace("/", "%2f")
            for method, call in (("GET", ""), ("POST", "/cancel"), ("POST", "/resume"), ("GET", "/samples/latest.png")):
                assert client.request(method, f"/training-jobs/{quoted}{call}").status_code == 404
        assert client.get("/training-jobs").status_code == 200
    assert not list(tmp_path.rglob("evil*"))
    assert not (tmp_path.parent / "evil").exists()


def test_readiness_is_looked_at_once_a_second(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(readiness, "missing_parts", lambda services: looks.append(time.monotonic()) or ["redis"])
    with api() as client:
        begun = time.monotonic()
        answers = [client.get("/readyz") for _ in range(50)]
        assert {answer.status_code for answer in answers} == {503}
        assert len(looks) <= 1 + (time.monotonic() - begun)
        monkeypatch.setattr(readiness, "REMEMBERED_SECONDS", 0.0)
        client.app.state.readiness = readiness.Readiness()
        client.get("/readyz")
        client.get("/readyz")
        assert looks[-1] > looks[-2] > looks[0], "it looks again once the moment is over"


def test_calls_of_readyz_do_not_write_to_the_disk_each(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    monkeypatch.setattr(ArtifactStore, "writable", lambda store: writes.append(time.monotonic()) or True)
    with api() as client:
        begun = time.monotonic()
        assert {client.get("/readyz").json()["status"] for _ in range(50)} == {"not ready"}  # there are no workers
        assert 1 <= len(writes) <= 1 + (time.monotonic() - begun)


def test_a_megabyte_of_unknown_keys_gets_a_short_answer(api: Api) -> None:
    with api() as client:
        for path, pointer in (("/generate", ""), ("/training-jobs", ""), ("/training-jobs", "overrides")):
            surplus = {f"k{number}": 1 for number in range(60_000)}
            body = {"model": "steel", "dataset": "d", pointer: surplus} if pointer else surplus
            answer = client.post(path, json=body)
            assert answer.status_code == 422
            assert len(answer.json()["errors"]) <= 100
            assert len(answer.content) < 100_000


def test_jobs_without_end_are_429(api: Api, empty_redis: redis.Redis) -> None:
    with api(max_queued_jobs=6) as client:
        files = {f"pits/{number}.png": photograph(number) for number in range(3)}
        uploaded = client.post("/datasets", data={"name": "set"}, files={"archive": zipped(files)})
        assert uploaded.status_code == 201
        body = {"dataset": "set", "model": "m"}
        jobs = [client.post("/training-jobs", json=body) for _ in range(5)]
        assert [job.status_code for job in jobs] == [202, 202, 202, 429, 429]
        assert jobs[-1].json()["type"] == "urn:flawsmith:busy"
        assert int(jobs[-1].headers["retry-after"]) > 0
        first = f"/training-jobs/{jobs[0].json()['id']}"
        assert client.post(f"{first}/cancel").status_code == 202
        assert client.post("/training-jobs", json=body).status_code == 202
        assert client.post(f"{first}/resume").status_code == 429


def test_one_caller_may_have_half_of_the_queued_jobs(api: Api, empty_redis: redis.Redis) -> None:
    with api(max_queued_jobs=4, api_keys="one:train,two:train,three:train") as client:
        files = {f"pits/{number}.png": photograph(number) for number in range(3)}
        one, two, three = ({"Authorization": f"Bearer {key}"} for key in ("one", "two", "three"))
        client.post("/datasets", data={"name": "set"}, files={"archive": zipped(files)}, headers=one)

        def submit(caller: dict[str, str]) -> httpx2.Response:
            return client.post("/training-jobs", json={"dataset": "set", "model": "m"}, headers=caller)

        jobs = [submit(one).json()["id"] for _ in range(2)]
        refused = submit(one)
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:flawsmith:busy")
        assert "2 jobs of yours are queued" in refused.json()["detail"]
        assert submit(two).status_code == 202
        assert client.post(f"/training-jobs/{jobs[0]}/cancel", headers=one).status_code == 202
        assert submit(one).status_code == 202  # room again
        assert submit(one).status_code == 429
        assert submit(two).status_code == 202
        assert "4 jobs are queued" in submit(three).json()["detail"]


def test_a_repeated_upload_keeps_an_id_and_not_its_answer(api: Api, empty_redis: redis.Redis) -> None:
    files: dict[str, bytes] = {f"pits/{number}.png": photograph(number) for number in range(3)}
    files |= {f"{'long' * 50}-{number}.png": b"no picture" for number in range(300)}
    archive = zipped(files)
    with api() as client:
        key = {"Idempotency-Key": "upload"}
        answers = [
            client.post("/datasets", data={"name": "many-refused"}, files={"archive": archive}, headers=key)
            for _ in range(2)
        ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].json() == answers[1].json()
    [kept] = empty_redis.keys("flawsmith:idempotency:*")
    assert int(empty_redis.strlen(kept)) < 1000
