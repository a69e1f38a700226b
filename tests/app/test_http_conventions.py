"""What clients and proxies expect of every HTTP service, on the whole API without workers."""

import codecs
import gzip
import json
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from flawsmith.app.main import instrumented
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services

WEIGHTS = "/models/steel/versions/1/weights.safetensors"
BYTES = bytes(range(250)) * 4


def paths(job: str, dataset: str) -> list[str]:
    """Paths with GET, one of each kind of answer: JSON, HTML, text, a file, a picture."""
    return [
        *("/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/datasets", "/models", "/training-jobs"),
        *(f"/datasets/{dataset}", f"/datasets/{dataset}/preview.png", f"/training-jobs/{job}", "/models/steel"),
        *(f"/training-jobs/{job}/history", "/training-jobs/schema", WEIGHTS, "/nowhere", "/models/nothing"),
    ]


def test_head_has_the_status_and_headers_of_get_and_no_body(
    api: TestClient, version: ModelVersion, dataset: str, job: str
) -> None:
    for path in paths(job, dataset):
        get, head = api.get(path), api.head(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["content-type"] == get.headers["content-type"], path
        if path != "/metrics":  # whose counts have moved
            assert head.headers["content-length"] == get.headers["content-length"], path
        assert head.headers.get("etag") == get.headers.get("etag"), path


def test_head_of_a_stream_without_end_ends(api: TestClient, job: str) -> None:
    head = api.head(f"/training-jobs/{job}/events")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")


def test_head_is_counted_under_its_route(api: TestClient) -> None:
    client = TestClient(instrumented(api.app), base_url=api.base_url)  # type: ignore[arg-type]
    labels = {"method": "HEAD", "route": "/healthz", "status": "200"}
    before = REGISTRY.get_sample_value("flawsmith_http_requests_total", labels) or 0
    assert client.head("/healthz").headers["x-request-id"]
    assert REGISTRY.get_sample_value("flawsmith_http_requests_total", labels) == before + 1


def test_a_head_of_an_image_needs_no_more_than_its_get(api: TestClient, version: ModelVersion) -> None:
    etag = api.get("/models/steel/versions/1/images/5.png", headers={"If-None-Match": "*"}).headers["etag"]
    head = api.head("/models/steel/versions/1/images/5.png", headers={"If-None-Match": etag})
    assert (head.status_code, head.headers["etag"]) == (304, etag)


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/datasets", {"GET", "HEAD", "POST"}),
        ("/datasets/x", {"GET", "HEAD", "DELETE"}),
        ("/datasets/x/preview.png", {"GET", "HEAD"}),
        ("/models/steel/versions/1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/training-jobs/x", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/models/steel/versions", {"GET", "HEAD"}),
        ("/models/steel/aliases/a", {"PUT", "DELETE"}),
        ("/training-jobs", {"GET", "HEAD", "POST"}),
        ("/training-jobs/x/cancel", {"POST"}),
        ("/generate", {"POST"}),
        ("/", {"GET", "HEAD"}),
        ("/healthz", {"GET", "HEAD"}),
    ],
)
def test_allow_lists_every_method_of_the_path_and_no_other(api: TestClient, path: str, allow: set[str]) -> None:
    answer = api.request("PROPFIND", path)
    assert (answer.status_code, answer.json()["type"]) == (405, "urn:flawsmith:method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == allow
    assert all(method in answer.json()["detail"] for method in allow)
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} - allow:
        assert api.request(method, path).status_code == 405, method


def test_an_unknown_query_parameter_is_refused_on_every_route(
    api: TestClient, version: ModelVersion, dataset: str, job: str
) -> None:
    app = api.app
    assert isinstance(app, FastAPI)
    values = {"dataset_id": dataset, "job_id": job, "name": "steel", "version": "1", "seed": "5", "step": "1"}
    values |= {"webhook_id": "webhook-1", "message_id": "msg_1"}
    tried = 0
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            known = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
            body = {"model": "steel", "dataset": "set", "version": 1} if "requestBody" in operation else None
            place = path.format(**{"alias": "a", **values})
            answer = api.request(method, place, params={"limti": "5"}, json=body)
            assert answer.status_code == 422, f"{method} {place}: {answer.text}"
            problem = answer.json()
            assert [each["pointer"] for each in problem["errors"]] == ["/query/limti"]
            assert all(name in problem["detail"] for name in known)
            tried += 1
    assert tried > 20
    assert api.get(f"/training-jobs/{job}").json()["state"] == "queued"  # nothing was done


def test_every_route_documents_its_refusal_of_unknown_query_parameters(api: TestClient) -> None:
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            assert "422" in operation["responses"], f"{method} {path}"


@pytest.mark.parametrize(
    ("path", "name"), [("/datasets?limit=5&limit=6", "limit"), ("/models?limit=5&cursor=YQ&limit=5", "limit")]
)
def test_a_repeated_query_parameter_is_refused(api: TestClient, path: str, name: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": f"/query/{name}", "detail": "it stands there 2 times; send it once"}]


@pytest.mark.parametrize("path", ["/docs", "/docs/page.js", "/llms.txt", "/openapi.json", "/", "/healthz", "/readyz"])
def test_a_page_refuses_query_parameters_too(api: TestClient, path: str) -> None:
    answer = api.get(f"{path}?limti=5")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/query/limti"]


@pytest.mark.parametrize(
    ("path", "query", "pointers"),
    [
        ("/datasets", "limit=5&cursr=x", ["/query/cursr"]),
        ("/training-jobs", "State=queued", ["/query/State"]),
        ("/models", "a/b=1&c~d", ["/query/a~1b", "/query/c~0d"]),
        ("/models", "=1", ["/query/"]),
    ],
)
def test_a_mistyped_query_parameter_is_named(api: TestClient, path: str, query: str, pointers: list[str]) -> None:
    answer = api.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == pointers
    assert "the known ones are" in answer.json()["detail"]


def test_known_query_parameters_pass(api: TestClient, version: ModelVersion) -> None:
    assert api.get("/training-jobs?limit=5&state=queued").status_code == 200
    assert api.get("/datasets?limit=5").status_code == 200
    answer = api.post("/generate?data=false", json={"model": "steel"}, headers={"Accept": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "x-unknown", "identity, gzip", "GZIP"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/generate"), ("POST", "/datasets"), ("POST", "/training-jobs")])
def test_a_compressed_body_is_415_and_says_so(api: TestClient, coding: str, method: str, path: str) -> None:
    body = gzip.compress(json.dumps({"model": "steel"}).encode())
    headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
    answer = api.request(method, path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:flawsmith:content-coding")
    assert answer.headers["accept-encoding"] == "identity"
    assert "uncompressed" in answer.json()["detail"]


def test_a_body_with_the_coding_identity_is_read(api: TestClient, version: ModelVersion) -> None:
    headers = {"Content-Encoding": "identity"}
    assert api.put("/models/steel/aliases/a", json={"version": 1}, headers=headers).status_code == 200


ENCODINGS = {
    "a byte order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_read_in_every_unicode_encoding_by_every_call(
    api: TestClient, version: ModelVersion, dataset: str, encoding: str
) -> None:
    def status(method: str, path: str, body: dict[str, Any]) -> int:
        content = ENCODINGS[encoding](json.dumps(body))
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return api.request(method, path, content=content, headers=headers).status_code

    assert status("POST", "/generate?data=false", {"model": "steel"}) == 200
    assert status("POST", "/generate?data=false", {"model": "steel", "cuont": 1}) == 422
    assert status("PUT", "/models/steel/aliases/a", {"version": 1}) == 200
    assert status("POST", "/training-jobs", {"dataset": dataset, "model": "steel"}) == 202


@pytest.mark.parametrize("content", [b"\xff\xfe{", b"\xef\xbb\xbf", b"{\x00", b'{"model": "\xe4"}', b"\x00\x00"])
def test_what_is_json_in_no_encoding_is_400_everywhere(api: TestClient, version: ModelVersion, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for method, path in (("POST", "/generate"), ("POST", "/training-jobs"), ("PUT", "/models/steel/aliases/a")):
        answer = api.request(method, path, content=content, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:flawsmith:malformed-body"), path


@pytest.mark.parametrize(
    ("lines", "media_type"),
    [
        (["text/html", "application/json"], "application/json"),
        (["image/gif;q=1", "text/plain", "application/json;q=0.5"], "application/json"),
        (["application/json;q=0.1", "application/zip;q=0"], "application/json"),
    ],
)
def test_several_accept_lines_are_one_list(
    api: TestClient, version: ModelVersion, lines: list[str], media_type: str
) -> None:
    headers = [("Accept", line) for line in lines]
    answer = api.post("/generate?data=false", json={"model": "steel"}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)


def entity(api: TestClient, path: str, *if_none_match: str) -> Any:
    """The answer to a GET with these If-None-Match lines."""
    return api.get(path, headers=[("If-None-Match", line) for line in if_none_match])


@pytest.mark.parametrize("kind", ["weights", "image", "preview"])
def test_what_does_not_change_has_an_etag_and_is_sent_once(
    api: TestClient, version: ModelVersion, dataset: str, kind: str
) -> None:
    path = {
        "weights": WEIGHTS,
        "image": "/models/steel/versions/1/images/5.png",
        "preview": f"/datasets/{dataset}/preview.png",
    }[kind]
    first = entity(api, path, "*") if kind == "image" else api.get(path)  # without a worker no image is made
    etag = first.headers["etag"]
    assert etag.startswith('"')
    for lines in ([etag], [f'"a", {etag}'], ['"a"', etag], ['"a", "b"', f'"c", W/{etag}'], ["*"], [f"W/{etag}"]):
        answer = entity(api, path, *lines)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag), lines
    if kind != "image":
        for lines in (['"a"'], [etag.strip('"')[:-1]], ['"*"'], ['"a"', 'W/"b"']):
            assert entity(api, path, *lines).status_code == 200, lines


def test_weights_are_not_sent_again_to_who_has_them_since_a_date(api: TestClient, version: ModelVersion) -> None:
    first = api.get(WEIGHTS)
    changed = first.headers["last-modified"]
    later, earlier = "Fri, 01 Jan 2100 00:00:00 GMT", "Wed, 01 Jan 2020 00:00:00 GMT"
    no_zone = "Thu, 01 Jan 2100 00:00:00 +9999999999999999999"
    for since, status in ((changed, 304), (later, 304), (earlier, 200), ("yesterday", 200), (no_zone, 200)):
        assert api.get(WEIGHTS, headers={"If-Modified-Since": since}).status_code == status, since
    headers = {"If-Modified-Since": later, "If-None-Match": '"other"'}
    assert api.get(WEIGHTS, headers=headers).status_code == 200


def test_two_versions_with_the_same_weights_have_different_etags(
    api: TestClient, services: Services, version: ModelVersion
) -> None:
    with services.store.staged() as staged:  # the file's metadata names its version, so its bytes differ
        (staged / "generator.safetensors").write_bytes(b"other metadata")
        card = version.model_dump(exclude={"model", "version", "created_at"})
        services.registry.publish("steel", staged, **{**card, "training_job": "job-2"})
    etags = {api.get(f"/models/steel/versions/{number}/weights.safetensors").headers["etag"] for number in (1, 2)}
    assert len(etags) == 2


@pytest.mark.parametrize(
    "header",
    [
        "items=0-4",
        "seconds=1-2",
        "bytes",
        "bytes=",
        "bytes=abc",
        "bytes=5-2",
        "0-4",
        "bytes=--1",
        "bytes=1-2-3",
        "none",
    ],
)
def test_a_range_that_is_not_one_of_bytes_is_ignored(api: TestClient, version: ModelVersion, header: str) -> None:
    answer = api.get(WEIGHTS, headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, BYTES)


@pytest.mark.parametrize(
    ("header", "content", "content_range"),
    [
        ("bytes=0-4", BYTES[:5], "bytes 0-4/1000"),
        ("bytes=990-", BYTES[990:], "bytes 990-999/1000"),
        ("bytes=-10", BYTES[990:], "bytes 990-999/1000"),
        ("bytes=990-5000", BYTES[990:], "bytes 990-999/1000"),
        ("bytes=-5000", BYTES, "bytes 0-999/1000"),
        ("bytes=3-4, 5000-6000", BYTES[3:5], "bytes 3-4/1000"),
    ],
)
def test_a_range_of_bytes_is_206(
    api: TestClient, version: ModelVersion, header: str, content: bytes, content_range: str
) -> None:
    answer = api.get(WEIGHTS, headers={"Range": header})
    assert (answer.status_code, answer.content) == (206, content)
    assert answer.headers["content-range"] == content_range
    assert api.head(WEIGHTS, headers={"Range": header}).status_code == 200  # a range is defined for GET alone


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=5000-6000, 7000-"])
def test_a_range_that_the_file_does_not_have_is_a_416_problem(
    api: TestClient, version: ModelVersion, header: str
) -> None:
    answer = api.get(WEIGHTS, headers={"Range": header})
    assert (answer.status_code, answer.json()["type"]) == (416, "urn:flawsmith:range-not-satisfiable")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-range"] == "bytes */1000"
    assert "1000 bytes" in answer.json()["detail"]


def test_a_range_of_another_copy_is_the_whole_file(api: TestClient, version: ModelVersion) -> None:
    etag = api.get(WEIGHTS).headers["etag"]
    statuses = [
        api.get(WEIGHTS, headers={"Range": wanted, "If-Range": copy}).status_code
        for wanted, copy in (("bytes=0-4", etag), ("bytes=0-4", '"other"'), ("bytes=5000-", '"other"'))
    ]
    assert statuses == [206, 200, 200]


def test_events_of_an_ended_job_end_a_browsers_reconnecting(api: TestClient, job: str) -> None:
    path = f"/training-jobs/{job}/events"
    api.post(f"/training-jobs/{job}/cancel")
    whole = api.get(path)
    assert whole.headers["x-accel-buffering"] == "no"
    ids = [line.removeprefix("id: ") for line in whole.text.splitlines() if line.startswith("id: ")]
    for last in ("1-0", "nonsense", ""):  # the end of the job is still to come
        assert api.get(path, headers={"Last-Event-ID": last}).text == whole.text
    for last in (ids[-1], "9999999999999999-0"):
        answer = api.get(path, headers={"Last-Event-ID": last})
        assert (answer.status_code, answer.content) == (204, b"")


def test_events_that_have_expired_are_204(api: TestClient, services: Services, job: str) -> None:
    api.post(f"/training-jobs/{job}/cancel")
    for key in services.redis.scan_iter(match="*event*"):
        services.redis.delete(key)
    assert api.get(f"/training-jobs/{job}/events").status_code == 204
