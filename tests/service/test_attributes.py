"""Images with attributes, with every process real: trained, sampled in mixed batches, reproducible, beside the pool."""

import base64
import io
from collections.abc import Iterator
from typing import Any, cast

import httpx2
import numpy as np
import pytest
from PIL import Image
from tests.conftest import Service, start_service, stop_service, until, zipped

from flawsmith import load_generator
from flawsmith.core.live import keys

JSON, PNG = {"Accept": "application/json"}, {"Accept": "image/png"}
TYPES = {"rolled": 0, "scratches": 45}  # degrees
SMALL = {"latent_size": 8, "generator_width": 4, "discriminator_width": 4, "batch_size": 4}


def lines(degrees: float, seed: int) -> bytes:
    """The file of a photograph of straight lines in grain."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:40, :40]
    away = columns * np.sin(np.radians(degrees)) + rows * np.cos(np.radians(degrees))
    profile = random.normal(128, 40, 200)
    pixels = profile[(away + 100).astype(int)] + random.normal(0, 4, (40, 40))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with `steel@1`, trained on six photographs of each of two types."""
    service = start_service(tmp_path_factory.mktemp("attributes"))
    files = {f"{kind}/{seed}.png": lines(TYPES[kind], seed) for kind in TYPES for seed in range(6)}
    assert service.upload("steel", zipped(files)).status_code == 201
    job = service.train("steel", "steel", preset="fewshot", steps=4, overrides=SMALL)
    assert job["state"] == "succeeded", job
    yield service
    stop_service(service)


def generate(site: Service, headers: dict[str, str] = JSON, query: str = "", **body: Any) -> httpx2.Response:
    answer = site.client.post(f"/generate{query}", json={"model": "steel@1", **body}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def files(site: Service, **body: Any) -> dict[tuple[str, int], bytes]:
    """The images of a call, by their types and seeds."""
    images = generate(site, **body).json()["images"]
    return {(each["defect_type"], each["seed"]): base64.b64decode(each["data"]) for each in images}


def pixels(file: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(file)))


def clear_cache(site: Service) -> None:
    if cached := list(site.redis.scan_iter(f"{keys.CACHED_IMAGE}*")):
        site.redis.delete(*cached)


def test_the_card_says_how_the_photographs_lie(site: Service) -> None:
    angle = site.client.get("/models/steel/versions/1").json()["attributes"]["angle"]
    assert angle["range"] == [0, 180]
    shares = {kind: {each["from"]: each["photographs"] for each in angle["photographs"][kind]} for kind in TYPES}
    assert shares["rolled"][165] > 0.9  # about level
    assert shares["scratches"][15] + shares["scratches"][45] > 0.9
    assert all(sum(each.values()) <= 1.001 for each in shares.values())


def test_an_address_is_the_same_bytes_in_any_batch_and_by_its_url(site: Service) -> None:
    asked = {"attributes": {"angle": [100, 120]}}
    many = files(site, seed=50, count=24, **asked)
    plain = files(site, seed=50, count=24)
    assert all(many[each] != plain[each] for each in many)
    clear_cache(site)
    for (kind, seed), file in list(many.items())[::5]:
        url = f"/models/steel/versions/1/images/{seed}.png?defect_type={kind}&angle=100..120"
        found = site.client.get(url)
        assert found.content == file
        text = Image.open(io.BytesIO(file)).info
        assert (text["Attributes"], text["Seed"], text["Synthetic"]) == ("angle=100..120", str(seed), "true")
        etag = site.client.get(url, headers={"If-None-Match": found.headers["etag"]})
        assert etag.status_code == 304
        head = site.client.head(url)
        assert (head.status_code, head.headers["etag"]) == (200, found.headers["etag"])
    clear_cache(site)
    assert files(site, seed=50, count=24) == plain
    assert "Attributes" not in Image.open(io.BytesIO(next(iter(plain.values())))).info


def test_every_angle_gives_the_images_without_attributes(site: Service) -> None:
    plain, every = (files(site, seed=9, count=4, **asked) for asked in ({}, {"attributes": {"angle": [0, 180]}}))
    assert all(np.array_equal(pixels(plain[each]), pixels(every[each])) for each in plain)


def test_new_ones_are_given_once_and_are_found_again_by_their_seeds(site: Service) -> None:
    asked = {"attributes": {"angle": [170, 10]}}
    first, second = (files(site, count=6, **asked) for _ in range(2))
    assert not first.keys() & second.keys()
    for (kind, seed), file in first.items():
        assert files(site, seed=seed, defect_type=kind, **asked) == {(kind, seed): file}


def test_they_take_nothing_from_the_pool_and_put_nothing_into_it(site: Service) -> None:
    def pooled() -> dict[bytes, list[bytes]]:
        names = list(site.redis.scan_iter(f"{keys.POOLS}images:*"))
        return {name: cast(list[bytes], site.redis.lrange(name, 0, -1)) for name in names}

    generate(site, count=2)
    before = until(lambda: pools if len(pools := pooled()) == 2 else None, 30, "both pools have images")
    for _ in range(3):
        assert generate(site, PNG, attributes={"angle": [30, 60]}).headers["x-stock"] == "miss"
    after = pooled()  # a refill that is under way appends
    assert {name: after[name][: len(items)] for name, items in before.items()} == before
    assert generate(site, PNG).headers["x-stock"] == "hit"
    assert not any(b"Attributes" in each for items in pooled().values() for each in items)


def test_the_published_file_makes_the_same_pixels(site: Service) -> None:
    weights = site.data_dir / "steel.safetensors"
    weights.write_bytes(site.client.get("/models/steel/versions/1/weights.safetensors").content)
    generator = load_generator(weights, device="cpu")
    [file] = files(site, seed=3, defect_type="rolled", attributes={"angle": [80.004, 100]}).values()
    assert np.array_equal(generator.sample(3, "rolled", angle=(80, 100)), pixels(file))
    assert not np.array_equal(generator.sample(3, "rolled"), pixels(file))
    with pytest.raises(ValueError, match="from 0 to 180"):
        generator.sample(3, "rolled", angle=(80, 200))


def test_near_images_are_drawn_again_with_the_same_attributes(site: Service) -> None:
    asked: dict[str, Any] = {"attributes": {"angle": [30, 60]}, "defect_type": "scratches"}
    body = {"model": "steel@1", "seed": 0, "count": 16, "max_similarity": 0, **asked}
    refused = site.client.post("/generate", json=body, headers=JSON).json()["refused"]
    assert {tuple(each["attributes"]["angle"]) for each in refused} == {(30, 60)}
    median = float(np.median([each["similarity"] for each in refused]))
    answer = generate(site, query="?nearest=true", count=12, max_similarity=median, **asked)
    assert int(answer.headers["x-refused"]) > 0
    images = answer.json()["images"]
    assert {tuple(each["attributes"]["angle"]) for each in images} == {(30, 60)}
    assert all(each["nearest"]["file"].startswith(("rolled/", "scratches/")) for each in images)


def test_a_version_without_direction_refuses_them(site: Service) -> None:
    job = site.train("steel", "plain", preset="fewshot", steps=4, overrides={**SMALL, "direction": False})
    assert job["state"] == "succeeded", job
    assert site.client.get("/models/plain/versions/1").json()["attributes"].keys() == {"brightness"}
    body = {"model": "plain@1", "attributes": {"angle": [30, 60]}}
    answer = site.client.post("/generate", json=body, headers=JSON)
    assert answer.status_code == 422
    assert "only versions whose card lists it take an angle" in answer.json()["detail"]
