"""POST /generate under load and faults: ready images at once, others in fair order, or a refusal that says when."""

import hashlib
import io
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

from flawsmith import load_generator
from flawsmith.core.live import keys
from flawsmith.core.live.image_pool import LEAST
from flawsmith.core.live.sampling_queue import waiting_images

PNG = {"Accept": "image/png"}


@pytest.fixture(scope="module")
def two_apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with several API processes and a model of two types."""
    service = start_service(tmp_path_factory.mktemp("serving"), api_processes="2", max_waiting_images="1000")
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "scratches") for i in range(4)}
    service.upload("set", zipped(files))
    assert service.train("set", "model")["state"] == "succeeded"
    yield service
    stop_service(service)


def generate(service: Service, **body: Any) -> httpx2.Response:
    return service.client.post("/generate", json={"model": "model@1", **body}, headers=PNG)


def wait_for_pool(service: Service) -> None:
    """Asks for an image, and waits until the next one comes from the pool."""
    generate(service, defect_type="dents")
    until(lambda: generate(service, defect_type="dents").headers["x-stock"] == "hit", 20, "an image is in the pool")


def wait_for_steady_pools(service: Service) -> None:
    """Asks for both types, and waits until no pool is refilled any more: then each is at least half full."""

    def images() -> float:
        rows = service.client.get("/metrics").text.splitlines()
        return sum(float(row.split()[-1]) for row in rows if row.startswith("flawsmith_pool_images{"))

    def are_steady() -> bool:
        before = images()
        time.sleep(3)  # a busy worker may be slow with the next batch
        return before == images() >= LEAST

    service.client.post("/generate", json={"model": "model@1", "count": 2})
    until(are_steady, 30, "the pools are at rest")


def queued_messages(service: Service) -> float:
    rows = service.client.get("/metrics").text.splitlines()
    [row] = [row for row in rows if row.startswith('flawsmith_queue_messages{queue="sample"}')]
    return float(row.split()[-1])


def clear_cache(service: Service) -> None:
    cached = list(service.redis.scan_iter(f"{keys.CACHED_IMAGE}*"))
    if cached:
        service.redis.delete(*cached)


def test_the_second_image_comes_from_the_pool_and_is_the_same_by_its_seed(two_apis: Service) -> None:
    wait_for_pool(two_apis)
    ready = generate(two_apis, defect_type="dents")
    assert ready.headers["x-stock"] == "hit"
    seed = int(ready.headers["x-seed"])
    asked = [generate(two_apis, defect_type="dents", seed=seed) for _ in range(2)]
    assert [answer.headers["x-stock"] for answer in asked] == ["miss", "hit"]
    by_url = two_apis.client.get(f"/models/model/versions/1/images/{seed}.png?defect_type=dents")
    assert {ready.content, *(answer.content for answer in asked), by_url.content} == {ready.content}


def test_an_address_is_the_same_bytes_in_requests_of_any_size(two_apis: Service) -> None:
    digests: list[dict[str, str]] = []
    for count in (1, 7, 64, 256):
        answer = two_apis.client.post(
            "/generate", json={"model": "model@1", "count": count, "seed": 10_000}, timeout=60
        )
        if count == 1:
            digests.append({"dents/10000.png": hashlib.sha256(answer.content).hexdigest()})
            continue
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            names = [name for name in archive.namelist() if name.endswith(".png")]
            digests.append({name: hashlib.sha256(archive.read(name)).hexdigest() for name in names})
        assert len(digests[-1]) == count
        clear_cache(two_apis)  # so that the next request has them made again, in other batches
    for each in digests[:-1]:
        assert each.items() <= digests[-1].items()


def test_concurrent_callers_are_given_different_images_ready_ones_first(two_apis: Service) -> None:
    def ask(_: int) -> tuple[int, str, str]:
        with httpx2.Client(base_url=two_apis.client.base_url, timeout=60) as client:
            answer = client.post("/generate", json={"model": "model@1"}, headers=PNG)
        assert answer.status_code == 200
        return int(answer.headers["x-seed"]), answer.headers["x-defect-type"], answer.headers["x-stock"]

    wait_for_steady_pools(two_apis)
    with ThreadPoolExecutor(20) as callers:
        given = list(callers.map(ask, range(300)))
    assert len({(seed, kind) for seed, kind, _ in given}) == 300
    assert {stock for *_, stock in given[: LEAST // 2]} == {"hit"}
    assert queued_messages(two_apis) <= 2  # one wakes the worker, however many callers ask


def test_callers_of_one_address_wait_for_one_computation(two_apis: Service) -> None:
    def made() -> float:
        text = "".join(httpx2.get(f"http://{target}/metrics", timeout=60).text for target in sample_targets(two_apis))
        counts = [row for row in text.splitlines() if row.startswith("flawsmith_images_generated_total{")]
        return sum(float(row.split()[-1]) for row in counts if 'purpose="request"' in row)

    def ask(_: int) -> bytes:
        with httpx2.Client(base_url=two_apis.client.base_url, timeout=60) as client:
            return client.post("/generate", json={"model": "model@1", "count": 64, "seed": 77_000}).content

    before = made()
    with ThreadPoolExecutor(8) as callers:
        answers = set(callers.map(ask, range(8)))
    assert len(answers) == 1
    assert made() - before < 4 * 64  # of eight; a few come between the first ones' delivery and the cache


def sample_targets(service: Service) -> list[str]:
    targets = service.client.get("/metrics/targets").json()
    return [address for each in targets if each["labels"]["queue"] == "sample" for address in each["targets"]]


def test_images_that_cannot_be_ready_in_time_are_refused_at_once_with_when_to_try_again(
    two_apis: Service,
) -> None:
    generate(two_apis, seed=1)
    pid = until(lambda: two_apis.pid("worker", "sample"), 10, "the worker runs")
    os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as callers:
            body = {"model": "model@1", "count": 200, "deadline_seconds": 4}
            waiting = [
                callers.submit(two_apis.client.post, "/generate", json={**body, "seed": n * 1000}) for n in range(4)
            ]
            answers = [each.result() for each in waiting]
    finally:
        os.kill(pid, signal.SIGCONT)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} <= {429, 504}
    for answer in refused:
        assert answer.json()["type"] == "urn:flawsmith:busy"
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.elapsed.total_seconds() < 3  # of the four of the deadline
    until(lambda: generate(two_apis, seed=2).status_code == 200, 20, "it serves again")


def test_a_killed_sampling_worker_delays_and_loses_nothing(two_apis: Service) -> None:
    pid = until(lambda: two_apis.pid("worker", "sample"), 10, "the worker runs")
    os.kill(pid, signal.SIGSTOP)  # so that the request is queued or in flight when it dies
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(generate, two_apis, seed=5_000_000, deadline_seconds=55)
        until(lambda: waiting_images(two_apis.redis), 10, "the request waits")
        os.kill(pid, signal.SIGKILL)
        answer = asked.result()
    assert answer.status_code == 200
    assert generate(two_apis, seed=5_000_000).content == answer.content


def test_a_restarted_redis_costs_a_waiting_request_nothing_and_gives_no_image_twice(two_apis: Service) -> None:
    wait_for_pool(two_apis)
    before = {int(generate(two_apis, defect_type="dents").headers["x-seed"]) for _ in range(5)}
    pid = until(lambda: two_apis.pid("redis"), 10, "Redis runs")
    os.kill(pid, signal.SIGKILL)
    until(
        lambda: two_apis.pid("redis") not in (None, pid) and two_apis.ready(),
        30,
        "the service is whole again",
    )
    after = [int(generate(two_apis, defect_type="dents").headers["x-seed"]) for _ in range(5)]
    assert min(after) > max(before)


def test_images_of_a_client_that_went_away_are_not_made(two_apis: Service) -> None:
    pid = until(lambda: two_apis.pid("worker", "sample"), 10, "the worker runs")
    until(lambda: not waiting_images(two_apis.redis), 20, "nothing waits")
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(httpx2.ReadTimeout):
            two_apis.client.post("/generate", json={"model": "model@1", "count": 100, "seed": 6_000_000}, timeout=1)
        until(lambda: not waiting_images(two_apis.redis), 5, "its work is gone")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_metrics_are_those_of_all_processes(two_apis: Service) -> None:
    def served() -> float:
        rows = two_apis.client.get("/metrics").text.splitlines()
        return sum(float(row.split()[-1]) for row in rows if row.startswith("flawsmith_images_served_total{"))

    before = served()
    for _ in range(40):
        with httpx2.Client(
            base_url=two_apis.client.base_url, timeout=60
        ) as client:  # a new connection: now one process, now the other
            assert client.post("/generate", json={"model": "model@1"}, headers=PNG).status_code == 200
    assert served() - before == 40


def test_an_api_process_that_terminates_answers_its_requests_in_flight(two_apis: Service) -> None:
    worker = until(lambda: two_apis.pid("worker", "sample"), 10, "the worker runs")
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(generate, two_apis, seed=7_000_000)
        until(lambda: waiting_images(two_apis.redis), 10, "the request waits")
        os.kill(until(lambda: two_apis.pid("api"), 10, "the API runs"), signal.SIGTERM)
        time.sleep(0.5)  # first it must terminate, and only then be able to answer
        os.kill(worker, signal.SIGCONT)
        assert asked.result().status_code == 200
    until(two_apis.ready, 20, "the API is back")


@pytest.mark.parametrize(("model", "shape"), [("model", (32, 32)), ("colour", (32, 32, 3))])
def test_a_downloaded_generator_samples_the_same_pixels(
    two_apis: Service, tmp_path: Path, model: str, shape: tuple[int, ...]
) -> None:
    client = two_apis.client
    if model == "colour":
        files = {f"{kind}/{i}.png": photograph(i, mode="RGB") for kind in ("rust", "paint") for i in range(4)}
        two_apis.upload("colour", zipped(files))
        assert two_apis.train("colour", "colour")["state"] == "succeeded"
    path = tmp_path / "generator.safetensors"
    path.write_bytes(client.get(f"/models/{model}/versions/1/weights.safetensors").content)
    generator = load_generator(path, device="cpu")
    for kind in generator.classes:
        for seed in (0, 7, 2**53 - 1):
            body = {"model": f"{model}@1", "seed": seed, "defect_type": kind}
            png = client.post("/generate", json=body, headers=PNG).content
            pixels = generator.sample(seed, kind)
            assert pixels.shape == shape
            assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(png))))
