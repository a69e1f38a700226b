"""Brightness and severity over HTTP, on the whole API without workers: what is refused, and what addresses become."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.published_versions import publish

from flawsmith.app.image_request import ImageRequest
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import Attributes, angle_attribute, brightness_attribute, severity_attribute
from flawsmith.core.domain.quality_floor import sampling_name
from flawsmith.core.live.image_cache import store_in_cache
from flawsmith.core.services import Services
from flawsmith.core.store.images import encode_pixels

JSON = {"Accept": "application/json"}
STEEL, EARLIER = "/models/steel/versions/1/images/{}.png", "/models/earlier/versions/1/images/{}.png"
Ask = Callable[..., httpx2.Response]


@pytest.fixture(autouse=True)
def versions(services: Services) -> None:
    """`steel@1`, whose severity is measured for scratches only, and `earlier@1` of a release before."""
    attributes = {
        "angle": angle_attribute(),
        "brightness": brightness_attribute({"crazing": (90, 120.5), "scratches": (100, 150)}),
        "severity": severity_attribute({"scratches": (0.1, 0.4)}),
    }
    publish(services.registry, "job-1", "steel", classes=["crazing", "scratches"], attributes=attributes)
    publish(services.registry, "job-2", "earlier")


@pytest.fixture
def generate(api: TestClient) -> Ask:
    def ask(query: str = "?data=false", headers: dict[str, str] = JSON, **body: Any) -> httpx2.Response:
        return api.post(f"/generate{query}", json={"model": "steel@1", **body}, headers=headers)

    return ask


def cache(services: Services, seed: int, attributes: Attributes, version: str = "steel@1") -> bytes:
    """Has an image of scratches ready at this address; returns its file."""
    file = encode_pixels(np.full((32, 32, 1), seed, np.uint8), {"Seed": str(seed)})
    name = sampling_name(version, None, searched=True)
    store_in_cache(services.redis, name, {Address("scratches", seed, attributes): file}, 10**9)
    return file


def refusal(answer: httpx2.Response) -> dict[str, str]:
    """The details of a 422, by their pointers."""
    assert answer.status_code == 422, answer.text
    return {each["pointer"]: each["detail"] for each in answer.json()["errors"]}


class TestRefusals:
    @pytest.mark.parametrize("brightness", [[-1, 3], [0, 256], [150, 100], [100], "100..150", None, [True, 3]])
    def test_what_is_no_range_is_refused(self, generate: Ask, brightness: Any) -> None:
        [(pointer, detail)] = refusal(generate(attributes={"brightness": brightness})).items()
        assert pointer == "/attributes/brightness"
        assert "[low, high], two numbers from 0 to 255 (gray levels, the image's mean), low not above high" in detail

    def test_an_unknown_one_is_refused_with_those_that_the_version_knows(self, generate: Ask) -> None:
        detail = refusal(generate(attributes={"size": [0, 1]}))["/attributes/size"]
        assert all(f"{name} [low, high]" in detail for name in ("angle", "brightness", "severity"))

    def test_a_range_without_samples_is_refused_with_the_right_one(self, generate: Ask) -> None:
        asked = {"brightness": [121, 255], "severity": [0.41, 1]}
        details = refusal(generate(defect_type="scratches", attributes={**asked, "brightness": [151, 255]}))
        assert "samples of 'scratches' have 100..150 (5th to 95th percentile)" in details["/attributes/brightness"]
        assert "samples of 'scratches' have 0.1..0.4" in details["/attributes/severity"]
        details = refusal(generate(attributes={"brightness": [121, 255]}))  # of all types in turn
        assert "samples of 'crazing' have 90..120.5" in details["/attributes/brightness"]
        assert generate(defect_type="scratches", seed=1, attributes={"brightness": [150, 255]}).status_code == 503

    def test_a_type_that_cannot_be_measured_is_refused_with_those_that_can(
        self, api: TestClient, generate: Ask
    ) -> None:
        right = "cannot be measured on 'crazing'; give a 'defect_type' of: 'scratches' (0.1..0.4)"
        severe: dict[str, Any] = {"severity": [0.2, 1]}
        for body in ({"defect_type": "crazing"}, {}, {"seed": 0}, {"seed": 1, "count": 2}):
            assert refusal(generate(attributes=severe, **body))["/attributes/severity"] == right
        assert refusal(api.get(f"{STEEL.format(0)}?severity=0.2..1"))["/query/severity"] == right
        assert generate(seed=1, attributes=severe).status_code == 503  # scratches, and no worker is live

    def test_a_version_of_an_earlier_release_takes_a_brightness_only(self, api: TestClient, generate: Ask) -> None:
        details = refusal(generate(model="earlier@1", attributes={"severity": [0.2, 1], "brightness": [0, 10]}))
        assert details.keys() == {"/attributes/severity"}
        assert "only versions whose card lists it take a severity" in details["/attributes/severity"]
        assert "earlier@1 knows: brightness [low, high]" in details["/attributes/severity"]
        assert "only versions" in refusal(api.get(f"{EARLIER.format(1)}?severity=0.2..1"))["/query/severity"]

    @pytest.mark.parametrize(
        ("query", "right"),
        [
            *(("brightness=100.0..150", "written 100..150"), ("brightness=150..100", "low not above high")),
            *(("brightness=100", "LOW..HIGH"), ("severity=.2..1", "LOW..HIGH"), ("severity=0.2..1.5", "from 0 to 1 ")),
            *(("severity=0.2..1&severity=0.2..1", "once"), ("severity=0.5..1", "0.1..0.4")),
        ],
    )
    def test_a_url_has_one_spelling(self, api: TestClient, query: str, right: str) -> None:
        for call in (api.get, api.delete):
            details = refusal(call(f"{STEEL.format(7)}?defect_type=scratches&{query}"))
            assert right in details[f"/query/{query.partition('=')[0]}"]

    def test_a_url_says_all_that_is_wrong(self, api: TestClient) -> None:
        query = "defect_type=scratches&angle=0..200&brightness=1..2&severity=0..0"
        details = refusal(api.get(f"{STEEL.format(7)}?{query}"))
        assert details.keys() == {"/query/angle", "/query/brightness", "/query/severity"}


class TestAddresses:
    def test_the_card_lists_what_the_samples_have(self, api: TestClient) -> None:
        found = api.get("/models/steel/versions/1").json()["attributes"]
        assert found["brightness"]["samples"] == {"crazing": [90, 120.5], "scratches": [100, 150]}
        assert found["severity"]["samples"] == {"scratches": [0.1, 0.4]}
        assert (found["severity"]["range"], found["severity"]["wraps"]) == ([0, 1], False)
        assert api.get("/models/earlier/versions/1").json()["attributes"] == {}

    def test_an_answer_names_an_address_that_can_be_asked_for(
        self, api: TestClient, generate: Ask, services: Services
    ) -> None:
        attributes: Attributes = (("angle", (30.0, 60.0)), ("brightness", (100.0, 130.5)), ("severity", (0.2, 1.0)))
        file = cache(services, 7, attributes)
        asked = {"severity": [0.2, 1], "brightness": [100.001, 130.5], "angle": [30, 60]}
        answer = generate("", seed=7, defect_type="scratches", attributes=asked)
        assert answer.headers["x-attributes"] == "angle=30..60&brightness=100..130.5&severity=0.2..1"
        [image] = answer.json()["images"]
        assert image["attributes"] == {"angle": [30, 60], "brightness": [100, 130.5], "severity": [0.2, 1]}
        query = "defect_type=scratches&angle=30..60&brightness=100..130.5&severity=0.2..1"
        assert image["url"] == f"{STEEL.format(7)}?{query}"
        found = api.get(image["url"])
        assert found.content == file
        assert api.get(image["url"], headers={"If-None-Match": found.headers["etag"]}).status_code == 304
        assert api.head(image["url"]).headers["etag"] == found.headers["etag"]

    def test_the_manifest_and_the_archive_of_arrays_carry_them(self, generate: Ask, services: Services) -> None:
        cache(services, 7, (("brightness", (100.0, 150.0)),))
        body: dict[str, Any] = {"seed": 7, "defect_type": "scratches", "attributes": {"brightness": [100, 150]}}
        with zipfile.ZipFile(io.BytesIO(generate("", {"Accept": "application/zip"}, **body).content)) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        assert manifest["images"][0]["attributes"] == {"brightness": [100, 150]}
        arrays = np.load(io.BytesIO(generate("", format="npz", **body).content))
        assert arrays["attributes"].tolist() == ["brightness=100..150"]
        assert b"seed 7; brightness=100..150" in generate("", format="jpeg", **body).content

    def test_a_version_of_an_earlier_release_has_such_addresses(self, api: TestClient, services: Services) -> None:
        file = cache(services, 7, (("brightness", (0.0, 150.0)),), "earlier@1")
        assert api.get(f"{EARLIER.format(7)}?brightness=0..150").content == file
        assert api.get(EARLIER.format(7)).status_code == 503  # another address, and no worker is live

    def test_a_withdrawn_seed_is_gone_with_them(self, api: TestClient, generate: Ask) -> None:
        assert api.delete(f"{STEEL.format(7)}?defect_type=scratches&severity=0.2..1").status_code == 204
        for query in ("", "&severity=0.2..1", "&brightness=100..150"):
            assert api.get(f"{STEEL.format(7)}?defect_type=scratches{query}").status_code == 410
        answer = generate(seed=7, defect_type="scratches", attributes={"severity": [0.2, 0.9]})
        assert answer.status_code == 410

    def test_openapi_describes_them(self, api: TestClient) -> None:
        schema = api.get("/openapi.json").json()
        described = json.dumps(schema["components"]["schemas"]["GenerateRequest"]["properties"]["attributes"])
        assert "brightness" in described
        assert "severity" in described
        parameters = schema["paths"]["/models/{name}/versions/{version}/images/{seed}.png"]["get"]["parameters"]
        assert {"angle", "brightness", "severity"} <= {each["name"] for each in parameters}


def test_new_images_with_attributes_are_counted_with_those_without(services: Services) -> None:
    """Else both counts could begin at the same seed, in the millisecond in which a restarted Redis begins anew."""
    version = services.registry.resolve("steel@1")
    plain = ImageRequest(version, None, 1, None, "application/json", True, 10)
    for attributes in ((("angle", (30.0, 60.0)),), (("brightness", (100.0, 150.0)),)):
        for labels in (None, "mask"):
            assert replace(plain, attributes=attributes, labels=labels).counted == plain.counted
    assert replace(plain, floor=0.2).counted != plain.counted
