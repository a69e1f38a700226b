"""POST /generate as inspection software uses it: at once where it can be, in turn where it cannot, or a clear no."""

import hashlib
import io
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

PNG = {"Accept": "image/png"}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of this module's own, with a model of two types, and several API processes."""
    service = start_service(tmp_path_factory.mktemp("line"), api_processes="2", max_waiting_images="1000")
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "scratches") for i in range(4)}
    service.upload("set", zipped(files))
    assert service.train("set", "model")["state"] == "succeeded"
    yield service
    stop_service(service)


def generate(service: Service, **body: Any) -> httpx2.Response:
    return service.client.post("/generate", json={"model": "model", **body}, headers=PNG)


def filled(service: Service) -> None:
    """Asks once, and waits until the stock stands ready for the next."""
    generate(service, defect_type="dents")
    until(lambda: generate(service, defect_type="dents").headers["x-stock"] == "hit", 20, "an image is in stock")


def test_the_second_image_comes_from_stock_and_is_the_same_by_its_seed(line: Service) -> None:
    filled(line)
    ready = generate(line, defect_type="dents")
    assert ready.headers["x-stock"] == "hit"
    seed = int(ready.headers["x-seed"])
    asked = [generate(line, defect_type="dents", seed=seed) for _ in range(2)]
    assert [answer.headers["x-stock"] for answer in asked] == ["miss", "hit"]
    by_url = line.client.get(f"/models/model/versions/1/images/{seed}.png?defect_type=dents")
    assert {ready.content, *(answer.content for answer in asked), by_url.content} == {ready.content}


def test_an_address_is_the_same_bytes_in_requests_of_any_size(line: Service) -> None:
    digests: list[dict[str, str]] = []
    for count in (1, 7, 64, 256):
        answer = line.client.post("/generate", json={"model": "model", "count": count, "seed": 10_000}, timeout=60)
        if count == 1:
            digests.append({"dents/10000.png": hashlib.sha256(answer.content).hexdigest()})
            continue
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            names = [name for name in archive.namelist() if name.endswith(".png")]
            digests.append({name: hashlib.sha256(archive.read(name)).hexdigest() for name in names})
        assert len(digests[-1]) == count
        line.redis.delete(*line.redis.keys("flawsmith:image*"))  # made anew, in other batches
    for each in digests[:-1]:
        assert each.items() <= digests[-1].items()


def test_a_hundred_callers_at_once_are_given_different_images(line: Service) -> None:
    def ask(_: int) -> tuple[int, str, str]:
        with httpx2.Client(base_url=line.client.base_url, timeout=60) as client:
            answer = client.post("/generate", json={"model": "model"}, headers=PNG)
        assert answer.status_code == 200
        return int(answer.headers["x-seed"]), answer.headers["x-defect-type"], answer.headers["x-stock"]

    with ThreadPoolExecutor(20) as callers:
        given = list(callers.map(ask, range(100)))
    assert len({(seed, kind) for seed, kind, _ in given}) == 100
    assert {stock for *_, stock in given} <= {"hit", "miss"}


def test_callers_of_one_address_wait_for_one_computation(line: Service) -> None:
    def made() -> float:
        text = "".join(httpx2.get(f"http://{target}/metrics").text for target in sample_targets(line))
        counts = [row for row in text.splitlines() if row.startswith("flawsmith_images_generated_total{")]
        return sum(float(row.split()[-1]) for row in counts if 'purpose="request"' in row)

    def ask(_: int) -> bytes:
        with httpx2.Client(base_url=line.client.base_url, timeout=60) as client:
            return client.post("/generate", json={"model": "model", "count": 64, "seed": 77_000}).content

    before = made()
    with ThreadPoolExecutor(8) as callers:
        answers = set(callers.map(ask, range(8)))
    assert len(answers) == 1
    assert made() - before < 2 * 64  # at most a few that came between the first ones' delivery and the cache


def sample_targets(service: Service) -> list[str]:
    targets = service.client.get("/metrics/targets").json()
    return [address for each in targets if each["labels"]["queue"] == "sample" for address in each["targets"]]


def test_what_cannot_be_ready_in_time_is_refused_at_once_with_when_to_come_again(line: Service) -> None:
    generate(line, seed=1)
    pid = until(lambda: line.pid("worker", "sample"), 10, "the worker runs")
    os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as callers:
            body = {"model": "model", "count": 200, "deadline_seconds": 4}
            waiting = [callers.submit(line.client.post, "/generate", json={**body, "seed": n * 1000}) for n in range(4)]
            answers = [each.result() for each in waiting]
    finally:
        os.kill(pid, signal.SIGCONT)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} <= {429, 504}
    for answer in refused:
        assert answer.json()["type"] == "urn:flawsmith:busy"
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.elapsed.total_seconds() < 1
    until(lambda: generate(line, seed=2).status_code == 200, 20, "it serves again")


def test_a_killed_sampling_worker_delays_and_loses_nothing(line: Service) -> None:
    pid = until(lambda: line.pid("worker", "sample"), 10, "the worker runs")
    os.kill(pid, signal.SIGSTOP)  # so that the request is in line, or in its hand, when it dies
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(generate, line, seed=5_000_000)
        until(lambda: int(line.redis.get("flawsmith:work:total") or 0), 10, "the request waits")
        os.kill(pid, signal.SIGKILL)
        answer = asked.result()
    assert answer.status_code == 200
    assert generate(line, seed=5_000_000).content == answer.content


def test_a_restarted_redis_costs_a_waiting_request_nothing_and_gives_no_image_twice(line: Service) -> None:
    filled(line)
    before = {int(generate(line, defect_type="dents").headers["x-seed"]) for _ in range(5)}
    pid = until(lambda: line.pid("redis"), 10, "Redis runs")
    os.kill(pid, signal.SIGKILL)
    until(lambda: line.pid("redis") not in (None, pid) and line.ready(), 30, "the service is whole again")
    after = [int(generate(line, defect_type="dents").headers["x-seed"]) for _ in range(5)]
    assert min(after) > max(before)


def test_a_client_that_leaves_takes_its_work_with_it(line: Service) -> None:
    pid = until(lambda: line.pid("worker", "sample"), 10, "the worker runs")
    until(lambda: not int(line.redis.get("flawsmith:work:total") or 0), 20, "nothing waits")
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(httpx2.ReadTimeout):
            line.client.post("/generate", json={"model": "model", "count": 100, "seed": 6_000_000}, timeout=1)
        until(lambda: not int(line.redis.get("flawsmith:work:total") or 0), 5, "its work is gone")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_metrics_are_those_of_all_processes(line: Service) -> None:
    def served() -> float:
        rows = line.client.get("/metrics").text.splitlines()
        return sum(float(row.split()[-1]) for row in rows if row.startswith("flawsmith_images_served_total{"))

    before = served()
    for _ in range(40):
        with httpx2.Client(base_url=line.client.base_url) as client:  # a new connection: now one process, now the other
            assert client.post("/generate", json={"model": "model"}, headers=PNG).status_code == 200
    assert served() - before == 40


def test_an_api_that_is_told_to_end_answers_what_it_has_in_hand(line: Service) -> None:
    worker = until(lambda: line.pid("worker", "sample"), 10, "the worker runs")
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(generate, line, seed=7_000_000)
        until(lambda: int(line.redis.get("flawsmith:work:total") or 0), 10, "the request waits")
        os.kill(until(lambda: line.pid("api"), 10, "the API runs"), signal.SIGTERM)
        time.sleep(0.5)  # the order is what is tested: first told to end, then able to answer
        os.kill(worker, signal.SIGCONT)
        assert asked.result().status_code == 200
    until(line.ready, 20, "the API is back")


def test_a_callers_rate_is_held(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = start_service(tmp_path_factory.mktemp("rate"), caller_images_per_second="5")
    try:
        service.upload("set", zipped({f"{i}.png": photograph(i) for i in range(4)}))
        assert service.train("set", "model")["state"] == "succeeded"
        answers = [generate(service, format="npy", count=10) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert "5 images a second" in answers[1].json()["detail"]
        assert 1 <= int(answers[1].headers["retry-after"]) <= 2
    finally:
        stop_service(service)
