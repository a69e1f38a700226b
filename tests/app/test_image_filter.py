"""max_similarity, nearest and withdrawn addresses over HTTP. Pool and cache hold the images, so that no worker runs."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient
from torch.nn import functional as F

from flawsmith.app.main import create_app
from flawsmith.app.sampling.image_filter import REDRAWS
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live.image_cache import store_in_cache
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.services import Services
from flawsmith.core.store.images import encode_pixels
from flawsmith.core.store.reference_photographs import FILE, ReferencePhotographs

TYPES = ["crazing", "scratches"]
JSON = {"Accept": "application/json"}
Pixels = NDArray[np.uint8]


def textures(count: int, seed: int) -> list[Pixels]:
    """Different pictures of (32, 32, 1) pixels, none of which is near to another."""
    noise = torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(seed))
    smooth = F.interpolate(F.avg_pool2d(noise, 5, 1, 2), 32)
    return list((128 + 600 * (smooth - 0.5)).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())


PHOTOGRAPHS = textures(40, 0)
COPIES = [np.rot90(each) for each in PHOTOGRAPHS]
FRESH = textures(80, 1)


@pytest.fixture
def compared(services: Services, version: ModelVersion) -> ModelVersion:
    """`steel@1` with its reference photographs: crazing has the even numbers, scratches the odd ones."""
    types = np.arange(len(PHOTOGRAPHS)) % 2
    files = [f"{TYPES[number % 2]}/{number}.png" for number in range(len(PHOTOGRAPHS))]
    references = ReferencePhotographs.of(np.stack(PHOTOGRAPHS), types, TYPES, files)
    references.save(services.registry.folder(version) / FILE)
    return version


@pytest.fixture
def generate(api: TestClient) -> Callable[..., httpx2.Response]:
    def ask(path: str = "/generate", headers: dict[str, str] = JSON, **body: Any) -> httpx2.Response:
        return api.post(path, json={"model": "steel", **body}, headers=headers)

    return ask


@pytest.fixture
def fill_pool(services: Services, version: ModelVersion, generate: Callable[..., Any]) -> Callable[..., list[Address]]:
    """Puts pictures into the pool of a type, so that they are the next to be given out; returns their addresses."""

    def fill(pictures: list[Pixels], defect_type: str = "scratches") -> list[Address]:
        replenisher, left = PoolReplenisher(services.redis, services.settings), list(pictures)
        assert generate(defect_type=defect_type).status_code == 503  # from then on there is a pool
        addresses: list[Address] = []
        while left:
            request = replenisher.next_refill(min(16, len(left)))
            assert request is not None
            taken, left = left[: len(request.addresses)], left[len(request.addresses) :]
            pngs = [
                encode_pixels(each, {"Seed": str(a.seed)}) for each, a in zip(taken, request.addresses, strict=True)
            ]
            replenisher.refill(request, pngs)
            addresses += request.addresses
        return addresses

    return fill


def cache(services: Services, pictures: list[Pixels], first_seed: int, defect_type: str = "scratches") -> None:
    """Has the pictures ready at the seeds from ``first_seed`` on."""
    images = {Address(defect_type, first_seed + n): encode_pixels(each, {}) for n, each in enumerate(pictures)}
    store_in_cache(services.redis, "steel@1", images, 10**9)


def seeds(answer: httpx2.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [each["seed"] for each in answer.json()["images"]]


def refusal(answer: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:flawsmith:{kind}"
    return problem


@pytest.mark.usefixtures("compared")
class TestMaxSimilarity:
    def test_copies_in_the_pool_are_drawn_again_and_counted(self, generate: Any, fill_pool: Any) -> None:
        pooled = fill_pool([COPIES[1], FRESH[0], COPIES[3], COPIES[5], FRESH[1], FRESH[2], FRESH[3]])
        answer = generate(count=3, defect_type="scratches", max_similarity=0.8)
        fresh = [pooled[position].seed for position in (1, 4, 5)]
        assert sorted(seeds(answer)) == fresh
        assert (answer.headers["x-refused"], answer.headers["x-stock"]) == ("3", "hit")
        after = generate(count=1, defect_type="scratches")
        assert seeds(after) == [pooled[6].seed]
        assert "x-refused" not in after.headers

    def test_types_keep_their_turns(self, generate: Any, fill_pool: Any) -> None:
        fill_pool([COPIES[0], FRESH[0], FRESH[1]], "crazing")
        fill_pool([FRESH[2], COPIES[1], FRESH[3]], "scratches")
        answer = generate(count=4, max_similarity=0.8)
        types = [each["defect_type"] for each in answer.json()["images"]]
        assert sorted(types[:2]) == TYPES
        assert types[:2] == types[2:]
        assert answer.headers["x-refused"] == "2"

    def test_after_twenty_redraws_of_an_image_the_call_is_refused(self, generate: Any, fill_pool: Any) -> None:
        fill_pool([*COPIES[: 1 + REDRAWS], FRESH[0]])
        answer = generate(defect_type="scratches", max_similarity=0.8)
        problem = refusal(answer, 409, "too-similar")
        assert answer.headers["x-refused"] == "21"
        assert "'max_similarity': 0.8" in problem["detail"]
        assert seeds(generate(defect_type="scratches", max_similarity=0.8))

    def test_the_last_redraw_counts(self, generate: Any, fill_pool: Any) -> None:
        pooled = fill_pool([*COPIES[:REDRAWS], FRESH[0]])
        answer = generate(defect_type="scratches", max_similarity=0.8)
        assert seeds(answer) == [pooled[-1].seed]
        assert answer.headers["x-refused"] == "20"

    def test_1_refuses_nothing(self, generate: Any, fill_pool: Any) -> None:
        pooled = fill_pool(COPIES[:3])
        answer = generate(count=3, defect_type="scratches", max_similarity=1)
        assert seeds(answer) == [each.seed for each in pooled]
        assert answer.headers["x-refused"] == "0"

    def test_a_threshold_between_two_images_refuses_exactly_one_of_the_seeds(
        self, generate: Any, services: Any
    ) -> None:
        cache(services, FRESH[:2], 100)
        problem = refusal(generate(seed=100, count=2, defect_type="scratches", max_similarity=0), 409, "too-similar")
        assert [(each["seed"], each["defect_type"]) for each in problem["refused"]] == [
            (100, "scratches"),
            (101, "scratches"),
        ]
        similarity = {each["seed"]: each["similarity"] for each in problem["refused"]}
        nearer, farther = sorted(similarity, key=lambda seed: -similarity[seed])
        between = sum(similarity.values()) / 2
        answer = generate(seed=100, count=2, defect_type="scratches", max_similarity=between)
        problem = refusal(answer, 409, "too-similar")
        assert problem["refused"] == [
            {"defect_type": "scratches", "seed": nearer, "similarity": similarity[nearer]},
        ]
        assert answer.headers["x-refused"] == "1"
        assert str(nearer) in problem["detail"]
        assert seeds(generate(seed=farther, defect_type="scratches", max_similarity=between)) == [farther]
        exactly = generate(seed=100, count=2, defect_type="scratches", max_similarity=similarity[nearer])
        assert seeds(exactly) == [100, 101]

    def test_a_copy_is_refused_by_its_seed_whatever_its_type(self, generate: Any, services: Any) -> None:
        cache(services, [COPIES[0], FRESH[0]], 7)  # of a photograph of crazing, shown as scratches
        problem = refusal(generate(seed=7, defect_type="scratches", max_similarity=0.99), 409, "too-similar")
        assert problem["refused"] == [{"defect_type": "scratches", "seed": 7, "similarity": 1.0}]

    def test_addresses_alone_are_those_of_images_that_pass(self, generate: Any, fill_pool: Any) -> None:
        pooled = fill_pool([COPIES[1], FRESH[0]])
        answer = generate("/generate?data=false", defect_type="scratches", max_similarity=0.8)
        assert seeds(answer) == [pooled[1].seed]
        assert "data" not in answer.json()["images"][0]

    def test_every_media_type_has_the_images_that_pass(self, generate: Any, fill_pool: Any) -> None:
        pooled = fill_pool([COPIES[1], FRESH[0], COPIES[3], FRESH[1], FRESH[2]])
        one = generate(headers={"Accept": "image/png"}, defect_type="scratches", max_similarity=0.8)
        assert (one.headers["x-seed"], one.headers["x-refused"]) == (str(pooled[1].seed), "1")
        assert Image.open(io.BytesIO(one.content)).text["Seed"] == str(pooled[1].seed)
        many = generate(headers={"Accept": "application/zip"}, count=2, defect_type="scratches", max_similarity=0.8)
        names = zipfile.ZipFile(io.BytesIO(many.content)).namelist()[1:]
        assert names == [f"scratches/{pooled[position].seed}.png" for position in (4, 3)]

    def test_a_repeated_call_gets_the_images_and_the_count_of_the_first(
        self, generate: Any, fill_pool: Any, services: Any
    ) -> None:
        pooled = fill_pool([COPIES[1], FRESH[0], FRESH[1]])
        headers = {**JSON, "Idempotency-Key": "once"}
        first = generate(headers=headers, defect_type="scratches", max_similarity=0.8)
        cache(services, [FRESH[0]], pooled[1].seed)  # in place of a worker, which would make it again
        again = generate(headers=headers, defect_type="scratches", max_similarity=0.8)
        assert seeds(again) == seeds(first) == [pooled[1].seed]
        assert again.headers["x-refused"] == first.headers["x-refused"] == "1"

    @pytest.mark.parametrize("value", [-0.1, 1.1, "0.5", True])
    def test_what_is_no_similarity_is_422(self, generate: Any, value: Any) -> None:
        problem = refusal(generate(max_similarity=value), 422, "invalid")
        assert problem["errors"][0]["pointer"] == "/max_similarity"


@pytest.mark.parametrize(("path", "body"), [("/generate", {"max_similarity": 0.5}), ("/generate?nearest=true", {})])
def test_a_version_without_photographs_is_409_and_says_what_to_do(
    generate: Any, fill_pool: Any, path: str, body: dict[str, Any]
) -> None:
    pooled = fill_pool(FRESH[:1])
    problem = refusal(generate(path, defect_type="scratches", **body), 409, "no-references")
    assert "steel@1 has no reference photographs" in problem["detail"]
    assert "train the model again" in problem["detail"]
    assert seeds(generate(defect_type="scratches")) == [pooled[0].seed]  # no image was drawn for the refusal


@pytest.mark.usefixtures("compared")
class TestNearest:
    def test_json_names_the_nearest_photograph_of_each_image(self, generate: Any, fill_pool: Any) -> None:
        fill_pool([COPIES[6], FRESH[0]])
        images = generate("/generate?nearest=true", count=2, defect_type="scratches").json()["images"]
        assert images[0]["nearest"] == {"file": "crazing/6.png", "distance": 0.0, "percentile": 0.0}
        assert images[1]["nearest"].keys() == {"file", "distance", "percentile"}
        assert 0 < images[1]["nearest"]["distance"] < 2
        assert all("data" in each for each in images)

    def test_it_goes_without_the_images_bytes(self, generate: Any, fill_pool: Any) -> None:
        fill_pool([COPIES[6]])
        [image] = generate("/generate?nearest=true&data=false", defect_type="scratches").json()["images"]
        assert image["nearest"]["file"] == "crazing/6.png"
        assert "data" not in image

    def test_the_same_address_has_the_same_answer(self, generate: Any, services: Any) -> None:
        cache(services, FRESH[:20], 50)
        together = generate("/generate?nearest=true", seed=50, count=20, defect_type="scratches").json()["images"]
        alone = [
            generate("/generate?nearest=true", seed=seed, defect_type="scratches").json()["images"][0]
            for seed in range(50, 70)
        ]
        assert together == alone

    def test_another_media_type_cannot_hold_it(self, generate: Any) -> None:
        answer = generate("/generate?nearest=true", headers={"Accept": "image/png"})
        assert "'Accept: application/json'" in refusal(answer, 422, "invalid")["detail"]


def test_nearest_needs_the_scope_train(make_api: Callable[..., TestClient]) -> None:
    api = make_api(api_keys="G:generate,T:train")
    ask = {
        key: api.post(
            "/generate?nearest=true", json={"model": "steel"}, headers={**JSON, "Authorization": f"Bearer {key}"}
        )
        for key in "GT"
    }
    problem = refusal(ask["G"], 403, "out-of-scope")
    assert problem["detail"].endswith("needs a key of scope 'train'; yours is 'generate'")
    assert ask["T"].status_code == 404  # there is no such model, which is all that is wrong


class TestWithdrawal:
    path = "/models/steel/versions/1/images/{}.png?defect_type=scratches"

    @pytest.mark.usefixtures("version")
    def test_an_address_is_gone_with_its_reason(self, api: TestClient, generate: Any, services: Any) -> None:
        cache(services, FRESH[:3], 10)
        before = api.get(self.path.format(11))
        assert before.status_code == 200
        withdrawn = api.delete(
            self.path.format(11), params={"reason": "shows a customer's part", "defect_type": "scratches"}
        )
        assert withdrawn.status_code == 204
        gone = [
            api.get(self.path.format(11)),
            api.get(self.path.format(11), headers={"If-None-Match": before.headers["etag"]}),
            generate(seed=10, count=3, defect_type="scratches"),
            generate(headers={"Accept": "image/png"}, seed=11, defect_type="scratches"),
            generate("/generate?data=false", seed=11, defect_type="scratches"),
        ]
        for answer in gone:
            problem = refusal(answer, 410, "withdrawn")
            assert problem["withdrawn"] == [
                {"defect_type": "scratches", "seed": 11, "reason": "shows a customer's part"}
            ]
            assert "shows a customer's part" in problem["detail"]
        assert api.head(self.path.format(11)).status_code == 410
        assert [api.get(self.path.format(seed)).status_code for seed in (10, 12)] == [200, 200]
        assert api.delete(self.path.format(11)).status_code == 204  # again
        assert "customer" in api.get(self.path.format(11)).json()["detail"]

    def test_an_image_in_the_pool_is_never_given_out(self, api: TestClient, generate: Any, fill_pool: Any) -> None:
        pooled = fill_pool(FRESH[:6])
        for position in (0, 2, 3):
            assert api.delete(self.path.format(pooled[position].seed)).status_code == 204
        answer = generate(count=3, defect_type="scratches")
        assert sorted(seeds(answer)) == sorted(pooled[position].seed for position in (1, 4, 5))
        assert "x-refused" not in answer.headers

    def test_a_new_address_is_never_a_withdrawn_one(self, api: TestClient, generate: Any, fill_pool: Any) -> None:
        fill_pool(FRESH[:1])
        [last] = seeds(generate("/generate?data=false", defect_type="scratches"))
        for seed in range(last + 1, last + 26):
            assert api.delete(self.path.format(seed)).status_code == 204
        assert seeds(generate("/generate?data=false", count=2, defect_type="scratches"))[0] > last + 25

    @pytest.mark.usefixtures("version")
    def test_without_a_type_the_address_is_the_one_that_get_shows(self, api: TestClient, services: Any) -> None:
        cache(services, FRESH[:1], 5, "scratches")  # the type whose turn it is at seed 5
        path = "/models/steel/versions/1/images/5.png"
        assert api.get(path).status_code == 200
        assert api.delete(path).status_code == 204
        assert [api.get(each).status_code for each in (path, f"{path}?defect_type=scratches")] == [410, 410]

    @pytest.mark.usefixtures("version")
    def test_it_lasts(self, api: TestClient, services: Services) -> None:
        api.delete(self.path.format(11))
        services.redis.flushall()
        settings = services.settings
        with TestClient(create_app(settings), base_url="http://localhost") as another:
            assert refusal(another.get(self.path.format(11)), 410, "withdrawn")
            assert another.delete(self.path.format(12)).status_code == 204
        with TestClient(create_app(settings), base_url="http://localhost") as third:
            assert third.get(self.path.format(12)).status_code == 410

    @pytest.mark.usefixtures("version")
    def test_it_is_in_the_audit_log_and_goes_with_the_version(self, api: TestClient, services: Services) -> None:
        api.delete(self.path.format(11), params={"reason": "a part", "defect_type": "scratches"})
        api.delete(self.path.format(11), params={"reason": "changes nothing", "defect_type": "scratches"})
        [line] = services.audit.path.read_text().splitlines()
        event = json.loads(line)
        assert event | {"event": "image_withdrawn", "version": "steel@1", "seed": 11, "reason": "a part"} == event
        assert api.delete("/models/steel/versions/1").status_code == 204
        assert not list(services.store.root.rglob("withdrawn.json"))

    @pytest.mark.usefixtures("version")
    def test_what_is_unknown_is_refused(self, api: TestClient) -> None:
        assert api.delete("/models/steel/versions/7/images/1.png").status_code == 404
        assert api.delete("/models/steel/versions/1/images/1.png?defect_type=dent").status_code == 422
