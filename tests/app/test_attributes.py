"""Attributes over HTTP, on the whole API without workers: what is refused, and what addresses become of them."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.published_versions import publish

from flawsmith.core.domain.addresses import FIRST_OWN_SEED, Address
from flawsmith.core.domain.attributes import Attributes, RangeOfPhotographs, angle_attribute
from flawsmith.core.live.image_cache import store_in_cache
from flawsmith.core.services import Services
from flawsmith.core.store.images import encode_pixels
from flawsmith.core.store.reference_photographs import FILE, ReferencePhotographs

JSON = {"Accept": "application/json"}
PATH = "/models/steel/versions/1/images/{}.png"
SLANTED: Attributes = (("angle", (30.0, 60.0)),)
SHARES = [RangeOfPhotographs(from_=165, to=15, photographs=0.75), RangeOfPhotographs(from_=15, to=45, photographs=0.2)]
Ask = Callable[..., httpx2.Response]


@pytest.fixture(autouse=True)
def versions(services: Services) -> None:
    """`steel@1`, whose images take an angle, and `plain@1`, whose images take nothing."""
    classes, angle = ["crazing", "scratches"], angle_attribute({"scratches": SHARES})
    version = publish(services.registry, "job-1", "steel", classes=classes, attributes={"angle": angle})
    publish(services.registry, "job-2", "plain")
    pixels = np.stack([np.full((32, 32, 1), 128, np.uint8) + each for each in pictures(4)])
    references = ReferencePhotographs.of(pixels, np.arange(4) % 2, classes, [f"{each}.png" for each in range(4)])
    references.save(services.registry.folder(version) / FILE)


def pictures(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 100, (count, 32, 32, 1)).astype(np.uint8)


def cache(services: Services, seed: int, attributes: Attributes, count: int = 1) -> list[bytes]:
    """Has images of scratches ready at these addresses; returns their files."""
    files = [encode_pixels(each, {"Seed": str(seed)}) for each in pictures(count, seed + len(attributes))]
    addresses = [Address("scratches", seed + number, attributes) for number in range(count)]
    store_in_cache(services.redis, "steel@1", dict(zip(addresses, files, strict=True)), 10**9)
    return files


@pytest.fixture
def generate(api: TestClient) -> Ask:
    def ask(query: str = "", headers: dict[str, str] = JSON, **body: Any) -> httpx2.Response:
        return api.post(f"/generate{query}", json={"model": "steel@1", **body}, headers=headers)

    return ask


def refusal(answer: httpx2.Response, status: int = 422) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


class TestBody:
    @pytest.mark.parametrize(
        "angle",
        ["30..60", 30, None, True, [30], [1, 2, 3], [30, 181], [-0.5, 3], [[1], [2]], {"low": 1}, ["1", "2"]],
    )
    def test_what_is_no_range_is_refused(self, generate: Ask, angle: Any) -> None:
        answer = generate(attributes={"angle": angle})
        assert "[low, high], two numbers from 0 to 180" in refusal(answer)
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/attributes/angle"]

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400])
    def test_what_is_no_finite_number_is_refused(self, api: TestClient, number: str) -> None:
        body = json.dumps({"model": "steel@1", "attributes": {"angle": [0, "?"]}}).replace('"?"', number)
        answer = api.post("/generate", content=body, headers={"Content-Type": "application/json"})
        assert "two numbers from 0 to 180" in refusal(answer)

    @pytest.mark.parametrize("attributes", ["angle", [["angle", [1, 2]]], 3, True])
    def test_attributes_are_an_object(self, generate: Ask, attributes: Any) -> None:
        assert "/attributes" in refusal(generate(attributes=attributes))

    def test_unknown_ones_are_refused_with_those_that_the_version_knows(self, generate: Ask) -> None:
        answer = generate(attributes={"angle": [30, 60], "a/b~c": [0, 1], "size": [0, 1]})
        assert "steel@1 knows: angle [low, high], two numbers from 0 to 180" in refusal(answer)
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/attributes/a~1b~0c", "/attributes/size"]

    def test_a_version_without_attributes_says_so(self, api: TestClient, generate: Ask) -> None:
        right = "plain@1 knows: brightness [low, high], two numbers from 0 to 255"
        for answer in (
            generate(model="plain@1", attributes={"angle": [30, 60]}),
            api.get("/models/plain/versions/1/images/1.png?angle=30..60"),
        ):
            assert right in refusal(answer)
            assert "only versions whose card lists it take an angle" in refusal(answer)
        assert api.get("/models/plain/versions/1").json()["attributes"] == {}

    def test_none_and_no_attributes_are_the_same(self, generate: Ask) -> None:
        plain = generate("?data=false", seed=5).json()
        for none in (None, dict[str, Any]()):
            assert generate("?data=false", seed=5, attributes=none).json() == plain
        assert "attributes" not in plain["images"][0]
        assert generate("?data=false", model="plain@1", attributes={}).status_code == 200

    def test_windows_clients_may_send_it(self, api: TestClient) -> None:
        body = json.dumps({"model": "steel@1", "seed": 1, "attributes": {"angle": [30, 60]}}).encode("utf-16")
        answer = api.post("/generate?data=false", content=body, headers={**JSON, "Content-Type": "application/json"})
        assert answer.json()["images"][0]["attributes"] == {"angle": [30, 60]}


class TestAddress:
    def test_the_card_lists_the_attribute_and_the_photographs(self, api: TestClient) -> None:
        assert api.get("/models/steel/versions/1").json()["attributes"] == {
            "angle": {
                "range": [0, 180],
                "unit": "degrees counter-clockwise from level",
                "wraps": True,
                "photographs": {
                    "scratches": [
                        {"from": 165, "to": 15, "photographs": 0.75},
                        {"from": 15, "to": 45, "photographs": 0.2},
                    ]
                },
                "samples": {},
            }
        }

    def test_an_answer_names_an_address_that_can_be_asked_for(
        self, api: TestClient, generate: Ask, services: Services
    ) -> None:
        files = cache(services, 7, SLANTED, 2)
        answer = generate(seed=7, count=2, defect_type="scratches", attributes={"angle": [30.001, 60]})
        assert answer.headers["x-attributes"] == "angle=30..60"
        images = answer.json()["images"]
        assert [each["attributes"] for each in images] == [{"angle": [30, 60]}] * 2
        assert images[0]["url"] == f"{PATH.format(7)}?defect_type=scratches&angle=30..60"
        for each, file in zip(images, files, strict=True):
            assert api.get(each["url"]).content == file

    def test_the_manifest_and_the_archive_of_arrays_carry_them(self, generate: Ask, services: Services) -> None:
        cache(services, 7, SLANTED, 2)
        body: dict[str, Any] = {"seed": 7, "count": 2, "defect_type": "scratches", "attributes": {"angle": [30, 60]}}
        with zipfile.ZipFile(io.BytesIO(generate(headers={"Accept": "application/zip"}, **body).content)) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        assert [each["attributes"] for each in manifest["images"]] == [{"angle": [30, 60]}] * 2
        arrays = np.load(io.BytesIO(generate(format="npz", **body).content))
        assert arrays["attributes"].tolist() == ["angle=30..60"] * 2
        array = generate(format="npy", **body)
        assert (array.headers["x-seeds"], array.headers["x-attributes"]) == ("scratches:7-8", "angle=30..60")

    def test_images_without_them_carry_nothing(self, generate: Ask, services: Services) -> None:
        cache(services, 7, (), 2)
        body: dict[str, Any] = {"seed": 7, "count": 2, "defect_type": "scratches"}
        with zipfile.ZipFile(io.BytesIO(generate(headers={"Accept": "application/zip"}, **body).content)) as archive:
            assert "attributes" not in json.loads(archive.read("manifest.json"))["images"][0]
        assert "attributes" not in np.load(io.BytesIO(generate(format="npz", **body).content))
        assert "x-attributes" not in generate(**body).headers

    def test_a_jpeg_says_them(self, generate: Ask, services: Services) -> None:
        cache(services, 7, SLANTED)
        answer = generate(format="jpeg", seed=7, defect_type="scratches", attributes={"angle": [30, 60]})
        assert b"seed 7; angle=30..60" in answer.content

    def test_each_range_is_another_image_with_another_etag(
        self, api: TestClient, generate: Ask, services: Services
    ) -> None:
        asked: list[Attributes] = [(), SLANTED, (("angle", (30.0, 61.0)),)]
        files = [cache(services, 7 + 100 * number, each) for number, each in enumerate(asked)]
        for each, [file] in zip(asked, files, strict=True):
            store_in_cache(services.redis, "steel@1", {Address("scratches", 7, each): file}, 10**9)
        urls = [f"{PATH.format(7)}?defect_type=scratches{each}" for each in ("", "&angle=30..60", "&angle=30..61")]
        answers = [api.get(url) for url in urls]
        assert [each.content for each in answers] == [file for [file] in files]
        assert len({each.headers["etag"] for each in answers}) == 3
        for url, answer in zip(urls, answers, strict=True):
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert api.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
            head = api.head(url)
            assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])
            assert head.headers["content-length"] == answer.headers["content-length"]

    @pytest.mark.parametrize(
        ("angle", "right"),
        [
            *(("30.0..60", "is written 30..60"), ("180..10", "is written 0..10")),
            *(("30-60", "LOW..HIGH"), ("", "LOW..HIGH"), ("30..600", "from 0 to 180"), ("30..60&angle=1..2", "once")),
        ],
    )
    def test_a_url_has_one_spelling(self, api: TestClient, angle: str, right: str) -> None:
        for call in (api.get, api.delete):
            answer = call(f"{PATH.format(7)}?angle={angle}")
            assert right in refusal(answer)
            assert answer.json()["errors"][0]["pointer"] == "/query/angle"
        assert api.head(f"{PATH.format(7)}?angle={angle}").status_code == 422

    def test_new_ones_have_seeds_that_nobody_was_given(self, generate: Ask) -> None:
        kinds: list[Any] = [None, {"angle": [30, 60]}, {"angle": [60, 30]}, None]
        answers = [generate("?data=false", count=4, attributes=each).json()["images"] for each in kinds]
        given = [(each["defect_type"], each["seed"]) for answer in answers for each in answer]
        assert len(set(given)) == 16
        assert all(seed >= FIRST_OWN_SEED for _, seed in given)
        found = [each.get("attributes") for answer in answers for each in answer]
        assert found == [None] * 4 + [{"angle": [30, 60]}] * 4 + [{"angle": [60, 30]}] * 4 + [None] * 4
        assert all(parse_qs(urlsplit(each["url"]).query)["angle"] == ["60..30"] for each in answers[2])

    def test_a_repeated_call_gets_the_same_addresses(self, generate: Ask) -> None:
        headers = {**JSON, "Idempotency-Key": "one"}
        body: dict[str, Any] = {"count": 3, "attributes": {"angle": [30, 60]}}
        first, again = (generate("?data=false", headers, **body) for _ in range(2))
        assert first.json() == again.json()
        assert first.json()["images"][0]["attributes"] == {"angle": [30, 60]}
        for other in ({"angle": [30, 61]}, None):
            assert "another body" in refusal(generate("?data=false", headers, count=3, attributes=other))


class TestOtherOptions:
    def test_a_withdrawn_seed_is_gone_with_any_attributes(self, api: TestClient, generate: Ask) -> None:
        assert api.delete(f"{PATH.format(7)}?defect_type=scratches&reason=a+part").status_code == 204
        assert api.delete(f"{PATH.format(8)}?defect_type=scratches&angle=30..60").status_code == 204
        for seed in (7, 8):
            for query in ("", "&angle=30..60", "&angle=0..180"):
                assert api.get(f"{PATH.format(seed)}?defect_type=scratches{query}").status_code == 410
            for attributes in (None, {"angle": [30, 60]}, {"angle": [30, 60.01]}):
                answer = generate(seed=seed, defect_type="scratches", attributes=attributes)
                assert "an operator withdrew seed" in refusal(answer, 410)
                assert answer.json()["withdrawn"][0].get("attributes") == attributes

    def test_new_ones_are_never_withdrawn_ones(self, api: TestClient, generate: Ask) -> None:
        body: dict[str, Any] = {"defect_type": "scratches", "attributes": {"angle": [30, 60]}}
        last = generate("?data=false", **body).json()["images"][0]["seed"]
        assert api.delete(f"{PATH.format(last + 1)}?defect_type=scratches").status_code == 204
        assert api.delete(f"{PATH.format(last + 2)}?defect_type=scratches&angle=0..9").status_code == 204
        assert generate("?data=false", **body).json()["images"][0]["seed"] > last + 2

    def test_near_images_are_refused_with_their_attributes(self, generate: Ask, services: Services) -> None:
        cache(services, 7, SLANTED)
        body: dict[str, Any] = {"seed": 7, "defect_type": "scratches", "attributes": {"angle": [30, 60]}}
        answer = generate(max_similarity=0, **body)
        refusal(answer, 409)
        [refused] = answer.json()["refused"]
        assert (refused["seed"], refused["attributes"]) == (7, {"angle": [30, 60]})
        [image] = generate("?nearest=true", max_similarity=1, **body).json()["images"]
        assert image["nearest"]["file"] in {"1.png", "3.png", "0.png", "2.png"}
        assert image["attributes"] == {"angle": [30, 60]}
