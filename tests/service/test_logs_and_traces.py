"""Log lines and traces of a whole service: what joins those of a request, of its job and of its segments."""

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

KEY = "sesame-opens-the-mountain"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Request-ID": "shift-7"}


@dataclass
class Collector:
    """A receiver of OTLP over HTTP."""

    url: str = ""
    spans: list[tuple[str, Any]] = field(default_factory=list)
    """Each with the name of the service that it came from."""

    def of_trace(self, trace_id: str) -> list[tuple[str, Any]]:
        return [(service, each) for service, each in list(self.spans) if each.trace_id.hex() == trace_id]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest()
            request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/traces"
            for each in request.resource_spans:
                names = {item.key: item.value.string_value for item in each.resource.attributes}
                found.spans += [(names["service.name"], span) for scope in each.scope_spans for span in scope.spans]
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Service]:
    """A service that has trained a model and made an image for one caller, in one trace."""
    data_dir = tmp_path_factory.mktemp("traced")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # ms between two batches of spans
        service = start_service(data_dir, log_format="json", otlp_endpoint=collector.url, api_keys=KEY)
    service.client.headers["Authorization"] = f"Bearer {KEY}"
    archive = zipped({f"{i}.png": photograph(i) for i in range(4)})
    assert service.upload("set", archive).status_code == 201
    service.client.headers.update(HEADERS)
    assert service.train("set", "model", steps=2)["state"] == "succeeded"
    assert service.client.post("/generate", json={"model": "model@1", "seed": 1}).status_code == 200
    assert service.client.get("/models", headers={"Authorization": "Bearer wrong-key-of-a-stranger"}).status_code == 401
    yield service
    stop_service(service)


def lines(service: Service) -> list[dict[str, Any]]:
    """All but those of Valkey, which has a format of its own."""
    text = service.log.read_text().splitlines()
    return [json.loads(line) for line in text if not re.match(r"\d+:\S+ \d\d ", line)]


def test_every_line_is_an_object_that_says_when_who_and_what(traced: Service) -> None:
    found = lines(traced)
    assert {each["part"] for each in found} >= {"serve", "api", "train", "sample"}
    for each in found:
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each["timestamp"])
        assert each["level"] in ("info", "warning") and each["event"]


def test_the_ids_of_request_job_segment_and_trace_join_api_and_workers(traced: Service) -> None:
    ours = [each for each in lines(traced) if each.get("request_id") == "shift-7"]
    assert {each["part"] for each in ours} >= {"api", "train"}
    worked = [each for each in ours if each["part"] == "train" and "job_id" in each]
    assert {each["trace_id"] for each in worked} == {TRACE}
    [job] = {each["job_id"] for each in worked}
    segments = {each["segment_id"] for each in worked}
    [queued] = [each["event"] for each in ours if each["part"] == "api" and "is queued" in each["event"]]
    assert job in queued and any(each in queued for each in segments)


def test_the_spans_of_a_job_hang_on_the_callers_span(traced: Service, collector: Collector) -> None:
    def complete() -> list[tuple[str, Any]]:
        found = collector.of_trace(TRACE)
        wanted = {("flawsmith-train", "segment"), ("flawsmith-sample", "sampling"), ("flawsmith-api", "POST /generate")}
        return found if wanted <= {(service, each.name) for service, each in found} else []

    found = until(complete, 20, "the spans of API and workers have arrived")
    [submitted] = [each for service, each in found if each.name == "POST /training-jobs"]
    assert submitted.parent_span_id.hex() == SPAN
    attributes = {each.key: each.value for each in submitted.attributes}
    assert attributes["http.response.status_code"].int_value == 202
    assert attributes["flawsmith.request_id"].string_value == "shift-7"
    segments = [each for service, each in found if each.name == "segment"]
    assert submitted.span_id in {each.parent_span_id for each in segments}


def test_no_line_has_a_key_a_path_of_the_host_or_bytes_of_an_image(traced: Service) -> None:
    text = traced.log.read_text()
    assert "/training-jobs" in text
    for secret in (KEY, "wrong-key-of-a-stranger", str(traced.data_dir), str(Path(__file__).parents[2])):
        assert secret not in text
    assert not re.search(r"iVBORw0KGgo|\\x89PNG|/home/|/root/", text)
    assert b64encode(photograph(0))[:40].decode() not in text


def test_a_malformed_traceparent_is_no_error(traced: Service) -> None:
    for wrong in ("", "00", "00-" + "0" * 32 + f"-{SPAN}-01", "ff-x-y-z", "ä".encode() * 9):
        assert traced.client.get("/models", headers={"traceparent": wrong}).status_code == 200
