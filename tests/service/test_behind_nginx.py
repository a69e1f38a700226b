"""The service behind Debian's nginx as it is by default: TLS, a prefix, buffering and a cache."""

import io
import re
from collections.abc import Iterator
from urllib.parse import urljoin

import numpy as np
import pytest
from tests.conftest import SMALL_JOB, Service, photograph, start_service, stop_service, zipped
from tests.labelled_versions import publish_lively
from tests.service.nginx import Proxied, nginx_before

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry

KEY = {"Authorization": "Bearer secret"}
IMAGE = "/models/proxied/versions/1/images/5.png"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with keys and the prefix."""
    running = start_service(
        tmp_path_factory.mktemp("guarded"), api_keys="secret:admin", root_path="/flaws", trusted_proxies="127.0.0.1"
    )
    running.client.headers.update(KEY)
    yield running
    stop_service(running)


@pytest.fixture(scope="module")
def proxies(service: Service, guarded: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Proxied]]:
    """Before the guarded service one that passes the prefix on and one that strips it; one before an open service."""
    for each in (service, guarded):
        publish_lively(Registry(ArtifactStore(each.data_dir / "artifacts")), "proxied")
    kept, own = (str(each.client.base_url).rstrip("/") for each in (guarded, service))
    with nginx_before(tmp_path_factory.mktemp("nginx"), kept, f"{kept}/", f"{own}/") as running:
        yield running


@pytest.mark.parametrize("number", [0, 1], ids=["passes the prefix on", "strips the prefix"])
def test_every_address_is_right_under_the_prefix(proxies: list[Proxied], number: int) -> None:
    client, origin = proxies[number].client, proxies[number].origin
    assert client.get("/").status_code == 200
    page = client.get("/docs")
    assert page.status_code == 200
    for address in re.findall(r'(?:href|src)="([^"]+)"', page.text):
        if not address.startswith("data:"):
            assert client.get(urljoin(f"{origin}/flaws/docs", address)).status_code == 200, address
    document = client.get("/openapi.json").json()
    assert document["servers"][0]["url"] == "/flaws"
    moved = client.get("/docs/")
    assert (moved.status_code, moved.headers["location"]) == (307, "/flaws/docs")
    for name in re.findall(r"\]\(([^)]+)\)", client.get("/llms.txt").text):
        assert client.get(urljoin(f"{origin}/flaws/llms.txt", name)).status_code == 200, name
    answer = client.post(
        "/datasets",
        data={"name": f"proxied-{number}"},
        files={"archive": zipped({f"{each}.png": photograph(each) for each in range(3)})},
        headers=KEY,
    )
    assert answer.headers["location"] == f"/flaws/datasets/{answer.json()['id']}"
    assert client.get(origin + answer.headers["location"], headers=KEY).json() == answer.json()
    made = client.post("/generate", json={"model": "proxied@1", "format": "json"}, headers=KEY).json()
    assert made["images"][0]["url"].startswith("/flaws/models/proxied/")
    assert client.get(origin + made["images"][0]["url"], headers=KEY).headers["content-type"] == "image/png"
    problem = client.get("/models/none", headers=KEY).json()
    assert (problem["status"], problem["instance"]) == (404, "/flaws/models/none")


def test_without_the_setting_a_proxy_that_strips_the_prefix_has_page_and_docs(proxies: list[Proxied]) -> None:
    client, origin = proxies[2].client, proxies[2].origin
    for place in ("/", "/docs"):
        page = client.get(place)
        assert page.status_code == 200
        for address in re.findall(r'(?:href|src)="([^"]+)"', page.text):
            if not address.startswith(("data:", "http")):
                assert client.get(urljoin(f"{origin}/flaws{place}", address)).status_code == 200, (place, address)


def test_256_images_as_an_array_pass_the_header_buffer(proxies: list[Proxied]) -> None:
    answer = proxies[0].client.post(
        "/generate", json={"model": "proxied@1", "count": 256, "format": "npy", "seed": 0}, headers=KEY
    )
    assert answer.status_code == 200, answer.text
    assert len(np.load(io.BytesIO(answer.content))) == 256
    assert sum(len(name) + len(value) + 4 for name, value in answer.headers.raw) < 4096


def test_events_arrive_while_the_job_runs(proxies: list[Proxied], guarded: Service) -> None:
    client = proxies[0].client
    client.post(
        "/datasets",
        data={"name": "watched"},
        files={"archive": zipped({f"{each}.png": photograph(each) for each in range(4)})},
        headers=KEY,
    )
    long_job = {"dataset": "watched", "model": "watched", **SMALL_JOB, "steps": 1_000_000}
    job = client.post("/training-jobs", json=long_job, headers=KEY).headers["location"].removeprefix("/flaws")
    try:
        with client.stream("GET", f"{job}/events", headers=KEY) as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            lines = events.iter_lines()
            assert any(line.startswith("event: progress") for line in lines)
        assert client.get(job, headers=KEY).json()["state"] == "running"
    finally:
        client.post(f"{job}/cancel", headers=KEY)


def test_the_cache_keeps_what_is_public_and_nothing_that_needed_a_key(proxies: list[Proxied]) -> None:
    kept, guarded = proxies[2].client, proxies[0].client
    first, second = kept.get(IMAGE), kept.get(IMAGE)
    assert [each.headers["x-cache"] for each in (first, second)] == ["MISS", "HIT"]
    assert second.content == first.content
    assert kept.head(IMAGE).headers["etag"] == first.headers["etag"]
    current = kept.get(IMAGE, headers={"If-None-Match": first.headers["etag"]})
    assert (current.status_code, current.content) == (304, b"")
    answers = [guarded.get(IMAGE, headers=KEY) for _ in range(2)]
    assert [(each.status_code, each.headers["x-cache"]) for each in answers] == [(200, "MISS")] * 2
    assert guarded.get(IMAGE).status_code == 401
    assert guarded.get(IMAGE).headers["content-type"] == "application/problem+json"


def test_a_part_of_a_file_passes(proxies: list[Proxied]) -> None:
    path = "/models/proxied/versions/1/weights.safetensors"
    whole = proxies[0].client.get(path, headers=KEY).content
    part = proxies[0].client.get(path, headers={**KEY, "Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
