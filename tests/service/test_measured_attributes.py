"""Images chosen by brightness and severity, with every process real: reproducible, beside the pool, or refused."""

import base64
import io
import statistics
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import Service, photograph, zipped

from flawsmith import load_generator
from flawsmith.core.domain.attributes import brightness_attribute, severity_attribute
from flawsmith.core.live import keys
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry
from flawsmith.models.presets.registry import build_generator
from flawsmith.models.quality.measured_attributes import severity
from flawsmith.worker.generator_file import save_generator

JSON, PNG = {"Accept": "application/json"}, {"Accept": "image/png"}
VERSION = "lively@1"
URL = "/models/lively/versions/1/images/{}.png?defect_type=lines&{}"
LOW, HIGH = 109.0, 119.5
SAMPLES = {
    "brightness": brightness_attribute({"lines": (LOW, HIGH)}),
    "severity": severity_attribute({"lines": (0.0, 0.15)}),
}


def lines(seed: int) -> bytes:
    """The file of a photograph of one to four short bright lines on grain."""
    random = np.random.default_rng(seed)
    pixels = random.normal(120, 6, (40, 40))
    for _ in range(1 + seed % 4):
        top = random.integers(0, 20)
        pixels[top : top + 18, random.integers(3, 37)] += 90
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def site(service: Service) -> Service:
    """The shared service with `lively@1`: its images differ in brightness and severity, though nothing trained it."""
    config = {"resolution": 64, "channels": 1, "latent_size": 4, "generator_depth": 4, "classes": ["lines"]}
    essentials = {"preset": "dcgan", "classes": ["lines"], "resolution": 64, "mode": "L", "config": config}
    essentials |= {"precision": "float32", "qualified_on": "cpu"}
    torch.manual_seed(0)
    generator = build_generator("dcgan", config, 1)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(4)
    registry = Registry(ArtifactStore(service.data_dir / "artifacts"))
    with registry.store.staged() as staged:
        digest = save_generator(generator.state_dict(), staged / "generator.safetensors", essentials)
        card = {"training_job": "job-lively", "dataset_digest": "d", "weights_sha256": digest, "attributes": SAMPLES}
        registry.publish("lively", staged, **essentials, **card)
    return service


def post(site: Service, headers: dict[str, str] = JSON, query: str = "", **body: Any) -> httpx2.Response:
    return site.client.post(f"/generate{query}", json={"model": VERSION, **body}, headers=headers)


def files(site: Service, **body: Any) -> dict[tuple[str, int], bytes]:
    """The images of a call, by their types and seeds."""
    answer = post(site, **body)
    assert answer.status_code == 200, answer.text
    return {(each["defect_type"], each["seed"]): base64.b64decode(each["data"]) for each in answer.json()["images"]}


def pixels(file: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(file)))


def brightness(file: bytes) -> float:
    return round(float(pixels(file).mean()), 2)


def clear_cache(site: Service) -> None:
    if cached := list(site.redis.scan_iter(f"{keys.CACHED_IMAGE}*")):
        site.redis.delete(*cached)


@pytest.fixture(scope="module")
def middle(site: Service) -> float:
    """The median brightness of lines."""
    return round(statistics.median(map(brightness, files(site, seed=0, count=48, defect_type="lines").values())), 2)


def test_a_trained_version_lists_brightness_and_the_severity_that_can_be_measured(service: Service) -> None:
    photographs = {f"lines/{seed}.png": lines(seed) for seed in range(24)}
    photographs |= {f"noise/{seed}.png": photograph(seed) for seed in range(24)}
    assert service.upload("measured", zipped(photographs)).status_code == 201
    job = service.train("measured", "measured")
    assert job["state"] == "succeeded", job
    found = service.client.get("/models/measured/versions/1").json()["attributes"]
    assert found.keys() == {"brightness", "severity"}
    assert found["brightness"]["samples"].keys() == {"lines", "noise"}
    assert found["severity"]["samples"].keys() == {"lines"}
    body: dict[str, Any] = {"model": "measured@1", "count": 32, "seed": 0, "defect_type": "lines", "format": "npy"}
    values = np.load(io.BytesIO(service.client.post("/generate", json=body).content)).reshape(32, -1).mean(1)
    low, high = found["brightness"]["samples"]["lines"]
    assert low <= round(float(np.median(values)), 2) <= high
    answer = service.client.post("/generate", json={**body, "attributes": {"brightness": [0, low - 0.01]}})
    assert f"samples of 'lines' have {low:g}..{high:g}" in answer.json()["detail"]


def test_an_address_is_the_same_bytes_in_any_batch_and_by_its_url(site: Service, middle: float) -> None:
    asked: dict[str, Any] = {"attributes": {"brightness": [middle, 255]}, "defect_type": "lines"}
    plain = files(site, seed=50, count=24, defect_type="lines")
    many = files(site, seed=50, count=24, **asked)
    bright = {each for each in plain if brightness(plain[each]) >= middle}
    assert 0 < len(bright) < 24
    for each, file in many.items():
        assert brightness(file) >= middle
        assert np.array_equal(pixels(file), pixels(plain[each])) == (each in bright)
    clear_cache(site)
    for (kind, seed), file in list(many.items())[::5]:
        found = site.client.get(URL.format(seed, f"brightness={middle:g}..255"))
        assert found.content == file
        assert (kind, found.headers["cache-control"]) == ("lines", "public, max-age=31536000, immutable")
        text = Image.open(io.BytesIO(file)).info
        assert (text["Attributes"], text["Seed"]) == (f"brightness={middle:g}..255", str(seed))
    clear_cache(site)
    assert files(site, seed=50, count=24, defect_type="lines") == plain


def test_severity_is_that_of_the_image(site: Service) -> None:
    def severities(**asked: Any) -> list[float]:
        found = files(site, seed=0, count=16, defect_type="lines", **asked).values()
        images = torch.from_numpy(np.stack([pixels(each) for each in found]))[:, None]
        return [round(each, 2) for each in severity(images).tolist()]

    least = statistics.median(severities())
    assert min(severities()) < least
    assert min(severities(attributes={"severity": [least, 1]})) >= least


def test_new_ones_are_given_once_and_are_found_again_by_their_seeds(site: Service, middle: float) -> None:
    asked: dict[str, Any] = {"attributes": {"brightness": [0, middle]}, "defect_type": "lines"}
    first, second = (files(site, count=20, **asked) for _ in range(2))
    assert not first.keys() & second.keys()
    assert all(brightness(each) <= middle for each in (*first.values(), *second.values()))
    for (_, seed), file in list(first.items())[:3]:
        assert files(site, seed=seed, **asked) == {("lines", seed): file}


def test_a_repeated_call_gets_the_same_images(site: Service, middle: float) -> None:
    headers = {**JSON, "Idempotency-Key": "measured-1"}
    asked: dict[str, Any] = {"attributes": {"brightness": [middle, 255]}, "defect_type": "lines", "count": 3}
    first, again = (post(site, headers, **asked) for _ in range(2))
    assert first.status_code == again.status_code == 200, first.text
    assert first.json() == again.json()
    other = post(site, headers, **{**asked, "attributes": {"brightness": [0, middle]}})
    assert (other.status_code, other.json()["type"]) == (422, "urn:flawsmith:key-reused")


def test_they_leave_the_pool_as_it_is(site: Service, middle: float) -> None:
    asked: dict[str, Any] = {"attributes": {"brightness": [middle, 255]}, "defect_type": "lines"}
    names = set(site.redis.scan_iter(f"{keys.POOLS}images:{VERSION}*"))
    for _ in range(3):
        assert post(site, PNG, **asked).headers["x-stock"] == "miss"
    assert set(site.redis.scan_iter(f"{keys.POOLS}images:{VERSION}*")) == names


def test_plain_images_come_beside_searched_ones(site: Service, middle: float) -> None:
    asked: dict[str, Any] = {"attributes": {"brightness": [middle, 255]}, "defect_type": "lines"}
    clear_cache(site)
    with ThreadPoolExecutor(2) as executor:
        searched = executor.submit(files, site, seed=300, count=32, **asked)
        plain = executor.submit(files, site, seed=300, count=32, defect_type="lines")
        found, other = searched.result(), plain.result()
    for each, file in found.items():
        assert np.array_equal(pixels(file), pixels(other[each])) == (brightness(other[each]) >= middle)


def test_seeds_without_such_an_image_are_refused_with_what_they_have(site: Service) -> None:
    edge = {"brightness": [HIGH, HIGH]}  # a hundredth of a gray level
    answer = post(site, seed=0, count=16, defect_type="lines", attributes=edge)
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"] == "urn:flawsmith:attributes-not-found"
    assert "have no brightness=119.5..119.5 among the 32 candidates that each seed draws" in problem["detail"]
    refused = [each["seed"] for each in problem["refused"]]
    assert len(refused) > 8
    for each in problem["refused"]:
        least, greatest = each["measured"]["brightness"]
        assert least < greatest < 255
        assert (each["attributes"], each["defect_type"]) == (edge, "lines")
    for seed in refused[:3]:  # alone as among others, and without pixels
        assert site.client.get(URL.format(seed, "brightness=119.5..119.5")).status_code == 409
        alone = post(site, query="?data=false", seed=seed, defect_type="lines", attributes=edge)
        assert alone.json()["refused"] == [each for each in problem["refused"] if each["seed"] == seed]
    for seed in {*range(16)} - {*refused}:
        assert brightness(site.client.get(URL.format(seed, "brightness=119.5..119.5")).content) == HIGH


def test_new_ones_that_no_seed_has_are_refused_at_last(site: Service) -> None:
    never = {"brightness": [LOW, LOW], "severity": [0.15, 0.15]}
    answer = post(site, count=2, defect_type="lines", attributes=never)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:attributes-not-found")
    assert "those of 'lines' have brightness" in answer.json()["detail"]
    assert "Ask for a wider range" in answer.json()["detail"]


def test_a_rare_range_is_found_by_new_seeds(site: Service) -> None:
    """Most seeds draw a hit among their candidates, and others stand in for those that do not."""
    values = [brightness(each) for each in files(site, seed=0, count=64, defect_type="lines").values()]
    low, high = np.quantile(values, [0.48, 0.51]).round(2).tolist()
    asked: dict[str, Any] = {"defect_type": "lines", "attributes": {"brightness": [low, high]}}
    seeded = post(site, seed=0, count=32, **asked)
    assert seeded.status_code == 409
    found = files(site, count=16, **asked)
    assert len(found) == 16
    assert all(low <= brightness(each) <= high for each in found.values())


def test_the_published_file_makes_the_same_pixels(site: Service, middle: float) -> None:
    weights = site.data_dir / "lively.safetensors"
    weights.write_bytes(site.client.get("/models/lively/versions/1/weights.safetensors").content)
    generator = load_generator(weights, device="cpu")
    for bounds in ((middle, 255.0), (0.0, middle)):
        [file] = files(site, seed=3, defect_type="lines", attributes={"brightness": bounds}).values()
        assert np.array_equal(generator.sample(3, "lines", brightness=bounds), pixels(file))
