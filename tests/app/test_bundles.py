"""Bundles: a version at another site has the same addresses and bytes, and what is no bundle is refused in words."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.app.bundles import bundle, images, path_of, send, services_of
from tests.bundled_versions import KINDS, dcgan, labelled

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.evaluation_result import EvaluationResult
from flawsmith.core.domain.quality_floor import QualityFloor
from flawsmith.core.domain.records import now
from flawsmith.core.services import Services
from flawsmith.core.store.version_results import EVALUATIONS, save_result

HURTS = EvaluationResult(
    arms=[], differences=[], recommended_ratio=None, verdict="hurts", reason="it does", leaks=False, repeats=5
).model_dump(mode="json")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_moves_with_its_addresses_and_bytes(
    api: TestClient, services: Services, line: TestClient, kind: str
) -> None:
    version = KINDS[kind](services.registry, "steel")
    assert api.patch(path_of(version), json={"note": "Line 3", "tags": ["new lamp"]}).status_code == 200
    content = bundle(api, version)
    answer = send(line, content)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == path_of(version)
    assert answer.json() == api.get(path_of(version)).json() == line.get(path_of(version)).json()
    there = services_of(line).registry
    assert images(there, there.resolve(version.ref)) == images(services.registry, version)
    assert bundle(line, there.resolve(version.ref)) == content  # so it can move on


def test_it_is_sent_as_a_form_too_and_twice_changes_nothing(
    api: TestClient, services: Services, line: TestClient
) -> None:
    content = bundle(api, dcgan(services.registry, "steel"))
    form = {"files": {"bundle": ("steel-1.bundle.zip", content)}, "headers": {"Idempotency-Key": "a"}}
    first, again, third = line.post("/models/import", **form), line.post("/models/import", **form), send(line, content)
    assert [each.status_code for each in (first, again, third)] == [201, 201, 200]
    assert first.json() == again.json() == third.json()
    other = line.post("/models/import", files={"bundle": b"other"}, headers={"Idempotency-Key": "a"})
    assert (other.status_code, other.json()["type"]) == (422, "urn:flawsmith:key-reused")
    log = (services_of(line).store.root / "audit.jsonl").read_text().splitlines()
    assert [json.loads(each)["event"] for each in log] == ["version_imported"]


def test_two_imports_at_once_make_one_version(api: TestClient, services: Services, line: TestClient) -> None:
    content = bundle(api, dcgan(services.registry, "steel"))
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: send(line, content), range(2)))
    assert sorted(each.status_code for each in answers) in ([200, 201], [201, 201]), [each.text for each in answers]
    assert line.get("/models/steel").json()["versions"] == [1]


def test_what_is_not_given_out_stays_so_at_the_other_site(
    api: TestClient, services: Services, line: TestClient
) -> None:
    version = labelled(services.registry, "steel")
    parent = services.registry.resolve("steel@1")
    services.registry.withdraw(parent, Address("pits", 7), "shows a logo")
    services.registry.set_quality_floor(version, QualityFloor(score=0.25, set_at=now()))
    api.patch(path_of(version), json={"note": "New lamp", "tags": ["line-3"]})
    save_result(services.registry.folder(parent), EVALUATIONS, "evaluation-1", HURTS, services.store.write_bytes)
    assert send(line, bundle(api, version)).status_code == 201
    gone = line.get(f"{path_of(version)}/images/7.png?defect_type=pits")
    assert gone.status_code == 410 and "shows a logo" in gone.json()["detail"]
    assert line.get(f"{path_of(version)}/quality-floor").json()["score"] == 0.25
    assert line.get(path_of(version)).json()["note"] == "New lamp"
    assert [each["name"] for each in line.get("/models?tag=line-3").json()["items"]] == [version.model]
    refused = line.put("/models/steel/aliases/production", json={"version": 2})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:flawsmith:not-for-production")

    services.registry.withdraw(version, Address("dents", 9), "a finger")
    assert send(line, bundle(api, version)).status_code == 200
    assert line.get(f"{path_of(version)}/images/9.png?defect_type=dents").status_code == 410


def test_the_file_has_an_etag_ranges_and_a_head(api: TestClient, services: Services) -> None:
    version = dcgan(services.registry, "steel")
    place, content = f"{path_of(version)}/bundle", bundle(api, version)
    whole, head = api.get(place), api.head(place)
    etag = whole.headers["etag"]
    assert whole.content == content
    assert "steel-1.bundle.zip" in whole.headers["content-disposition"]
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    assert head.headers["content-length"] == str(len(content))
    assert api.get(place, headers={"If-None-Match": etag}).status_code == 304
    part = api.get(place, headers={"Range": "bytes=100-", "If-Range": etag})
    assert (part.status_code, part.content) == (206, content[100:])
    assert api.get(place, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert api.get("/models/steel/versions/2/bundle").status_code == 404
    services.registry.withdraw(version, Address("pits", 7), "shows a logo")
    assert api.get(place, headers={"If-None-Match": etag}).status_code == 200
    assert not list(services.store.staging.iterdir())  # what was sent is gone


def test_a_name_that_is_taken_is_409(api: TestClient, services: Services, line: TestClient) -> None:
    there = services_of(line)
    dcgan(there.registry, "steel")  # published at another moment: another version
    content = bundle(api, dcgan(services.registry, "steel"))
    answer = send(line, content)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:conflict")
    assert "another steel@1" in answer.json()["detail"]
    assert line.delete("/models/steel/versions/1").status_code == 204
    answer = send(line, content)
    assert answer.status_code == 409 and "deleted" in answer.json()["detail"]


def test_a_version_that_labels_another_one_is_refused(api: TestClient, services: Services, line: TestClient) -> None:
    KINDS["fewshot"](services_of(line).registry, "steel")
    answer = send(line, bundle(api, labelled(services.registry, "steel")))
    assert answer.status_code == 409 and "steel@1" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"files": {"archive": b"PK\x03\x04"}}, 422),
        ({"files": {"bundle": b"PK\x03\x04"}, "data": {"name": "x"}}, 422),
        ({"files": [("bundle", b"PK"), ("bundle", b"PK")]}, 422),
        ({"data": {"bundle": "x"}, "files": {}}, 415),
        ({"content": b"PK\x03\x04"}, 415),
        ({"json": {"bundle": "x"}}, 415),
        ({"content": b"PK", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({"content": b"PK", "headers": {"Content-Type": "application/zip", "Content-Encoding": "gzip"}}, 415),
    ],
)
def test_other_bodies_are_refused(line: TestClient, request_of: dict[str, Any], status: int) -> None:
    answer = line.post("/models/import", **request_of)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


def test_a_bundle_may_be_as_large_as_an_upload(make_api: Callable[..., TestClient]) -> None:
    api = make_api(max_upload_bytes=1000)
    assert send(api, bytes(1001)).status_code == 413
    assert send(api, bytes(1000)).status_code == 415


def test_keys_need_their_scopes(make_api: Callable[..., TestClient]) -> None:
    api = make_api(api_keys="g:generate,t:train,a:admin")
    registry = services_of(api).registry
    version = dcgan(registry, "steel")
    got = {key: api.get(f"{path_of(version)}/bundle", headers={"Authorization": f"Bearer {key}"}) for key in "gta"}
    assert [each.status_code for each in got.values()] == [403, 200, 200]
    sent = [send(api, got["t"].content, Authorization=f"Bearer {key}").status_code for key in "gta"]
    assert sent == [403, 403, 200]


def test_an_import_keeps_to_the_limit_on_models(api: TestClient, services: Services, line: TestClient) -> None:
    content, there = bundle(api, dcgan(services.registry, "steel")), services_of(line)
    KINDS["fewshot"](there.registry, "other")
    there.settings = there.settings.model_copy(update={"max_models": 1})
    answer = send(line, content)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:limit-reached")
    there.settings = there.settings.model_copy(update={"max_models": 2})
    assert send(line, content).status_code == 201
