"""Raw requests to a running service: request lines, headers, query strings, page tokens and forms of strangers."""

import base64
import re
import socket
from urllib.parse import quote

from hypothesis import strategies as st

from tests.conftest import Service, photograph, zipped
from tests.fuzz.conftest import SECRETS, Fuzzing, megabytes
from tests.fuzz.damage import damaged

SECONDS = 120.0  # at full length
WHOLE_SECONDS = 30.0  # until a request is answered …
UNFINISHED_SECONDS = 0.3  # … that may lack its end
NAME = "requested"  # of the data set and the model, which no other test uses
LONG = "9" * 400
TRACE = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
TEXTS = (
    "", " ", "*/*", "0", "-1", LONG, "a" * 5000, "é", "%", "%00", "%zz", "%ff%fe", "..%2f..%2fetc%2fpasswd", '"',
    "\x7f", 'W/"a"', ",,,,", ";" * 300, "a=b;" * 300, "nan", "1e400", "null", "[", "{}", "null,null", "a b", "\t",
)  # fmt: skip
FORM_TYPE = "multipart/form-data"
HEADERS: dict[str, tuple[str, ...]] = {
    "Range": (
        "bytes=0-0", "bytes=-5", "bytes=5-", "bytes=-0", "bytes=0-0,2-2,4-4", "bytes=9-1", f"bytes=0-{LONG}",
        "lines=1-2", f"bytes=-{LONG}", "bytes=" + ",".join(f"{number}-{number}" for number in range(0, 4000, 2)),
    ),
    "If-Range": ('"a"', "Thu, 01 Jan 1970 00:00:00 GMT"),
    "If-None-Match": ("*", '"a", W/"b"', '"' * 3000, "a" + " " * 9000 + "b"),
    "If-Modified-Since": (
        "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 +9999999999999999999", "(" * 900,
        "Thu, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359",
    ),
    "Accept": ("image/png;q=2", "image/*;q=nan", "text/csv", "a/b;q=1e400", "*/*;q=0", "image/png;" * 300),
    "Content-Type": (
        "application/json", "text/plain", FORM_TYPE, f"{FORM_TYPE}; boundary=", f"{FORM_TYPE}; boundary=x",
        "application/json; charset=utf-7", f"{FORM_TYPE}; boundary={LONG}",
    ),
    "Content-Encoding": ("gzip", "identity", "br, gzip"),
    "Content-Length": ("0", "5", "-1", LONG, "1, 1", "0x5"),
    "Transfer-Encoding": ("chunked", "gzip, chunked", "identity"),
    "traceparent": (
        f"00-{TRACE}-01", f"ff-{TRACE}-01", f"cc-{TRACE}-01-x", "00-" * 900, f"00-{'0' * 32}-{'0' * 16}-00",
    ),
    "tracestate": ("a=b," * 90,),
    "X-Request-ID": ("abc", "a" * 300, "a\tb"),
    "Idempotency-Key": ("k" * 256, "é", "one"),
    "Last-Event-ID": ("1-1", f"{LONG}-1", "-", "1-", "\u0661-\u0661"),
    "Authorization": ("Bearer x", "Basic eDp5", "Bearer", "Bearer é"),
    "Host": ("localhost", "[", "[::1]:1", "a]b[", "127.0.0.1:99999", "evil.example"),
    "Origin": ("null", "http://localhost", "http://[", "://"),
    "Sec-Fetch-Site": ("cross-site",),
    "X-Forwarded-For": ("1.2.3.4, " * 90,),
    "Forwarded": ("for=_a;host=b",),
    "Expect": ("100-continue", "x"),
    "Connection": ("upgrade", "keep-alive"),
    "Upgrade": ("websocket", "h2c"),
    "Cookie": ("a=b",),
}  # fmt: skip
PARAMETERS = (
    "limit", "cursor", "state", "tag", "search", "dry_run", "data", "nearest", "defect_type", "angle", "brightness",
    "severity", "format", "x",
)  # fmt: skip
VALUES = (
    "1", "500", "501", "true", "queued", "30..60", "170..10", "nan..inf", "1e400..2", "\u0663..\u0664", "..", "csv",
    "scratches",
)  # fmt: skip
BOUNDARY = b"--x\r\n"


def _form(archive: bytes) -> bytes:
    name = BOUNDARY + b'Content-Disposition: form-data; name="name"\r\n\r\nposted\r\n'
    head = b'Content-Disposition: form-data; name="archive"; filename="a.zip"\r\nContent-Type: application/zip\r\n\r\n'
    return name + BOUNDARY + head + archive + b"\r\n--x--\r\n"


FORM = _form(zipped({f"{number}.png": photograph(7500 + number) for number in range(2)}))
BODIES = (
    b"", b"{}", b'{"model": "requested"}', b'{"model": "requested@1", "count": 2, "seed": 5}',
    b'{"\\ud800": "\\ud800"}',
    b'{"dataset": "requested", "model": "\\ud800"}', "\ufeff{}".encode(), '{"model": "requested"}'.encode("utf-16"),
    b"[" * 9000, b'{"tags": ["a,b", "\\u0000"], "note": "\\ud83d"}',
)  # fmt: skip


def cursors() -> st.SearchStrategy[str]:
    """Page tokens: of positions that there are not, and of no position at all."""
    positions = st.one_of(st.text(max_size=40), st.sampled_from(("job-", "\0", "(", "[", "+", "-", "two-types")))
    coded = positions.map(lambda text: base64.urlsafe_b64encode(text.encode("utf-8", "replace")).decode().rstrip("="))
    return st.one_of(coded, st.sampled_from(TEXTS))


@st.composite
def queries(draw: st.DrawFn, known: tuple[str, ...]) -> str:
    """A query string, mostly of the parameters that the call knows."""
    pairs = []
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2)))):
        name = draw(st.sampled_from(known if known and draw(st.integers(0, 9)) else PARAMETERS))
        value = draw(cursors() if name == "cursor" else st.sampled_from((*VALUES, *TEXTS)))
        pairs.append(f"{name}{draw(st.sampled_from(('=', '=', '=', '=', '', '==')))}{quote(value, safe='%')}")
    return draw(st.sampled_from(("&", "&", "&", ";", "&&"))).join(pairs)


Call = tuple[str, str, tuple[str, ...]]
"""Method, path, and the names of query parameters."""


@st.composite
def requests(draw: st.DrawFn, calls: list[Call]) -> tuple[bytes, bool]:
    """A request as bytes on the wire, after whose answer the connection closes, and whether it is surely whole."""
    method, path, known = draw(st.sampled_from(calls))
    if draw(st.integers(0, 29)) == 0:
        method = draw(st.sampled_from(("HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "X" * 90)))
    query = draw(queries(known))
    target = f"{path}?{query}" if query else path
    content = draw(st.one_of(st.sampled_from(BODIES), damaged(FORM))) if method in ("POST", "PUT", "PATCH") else b""
    kind = "multipart/form-data; boundary=x" if content[:3] == BOUNDARY[:3] else "application/json"
    headers = {"Host": "localhost", "Connection": "close", "Content-Type": kind, "Content-Length": str(len(content))}
    for _ in range(draw(st.sampled_from((0, 1, 1, 2)))):
        name = draw(st.sampled_from(sorted(HEADERS)))
        headers[name] = draw(st.sampled_from(HEADERS[name] if draw(st.integers(0, 5)) else TEXTS))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "replace") + content
    if draw(st.integers(0, 19)) == 0:
        return draw(damaged(request, 2)), False
    framed = headers["Content-Length"] == str(len(content)) and not headers.keys() & {"Transfer-Encoding", "Expect"}
    return request, framed and headers["Connection"] == "close"


def exchange(port: int, request: bytes, patience: float) -> bytes:
    """The answer, or its first megabyte; of a request whose end is missing what comes within some seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        answer = b""
        try:
            connection.sendall(request)
            while len(answer) < 2**20 and (piece := connection.recv(65_536)):
                answer += piece
                if b"text/event-stream" in answer[:2000]:
                    break
        except (ConnectionError, TimeoutError):  # the rest is refused, or awaited
            pass
    return answer


def calls_of(service: Service, job: str) -> list[Call]:
    """Every route, about what there is."""
    known = {"name": NAME, "version": "1", "dataset_id": NAME, "job_id": job, "seed": "7", "step": "0"}
    found: list[Call] = [("GET", path, ()) for path in ("/page/", "/made-up", "//", "*")]
    for path, calls in service.client.get("/openapi.json").json()["paths"].items():
        filled = re.sub(r"{(\w+)}", lambda match: known.get(match[1], "staging"), path)
        for method in calls.keys() - {"delete"}:  # all calls are about one data set, model and job
            parameters = [each for each in calls[method].get("parameters", ()) if each["in"] == "query"]
            found.append((method.upper(), filled, tuple(each["name"] for each in parameters)))
    return sorted(found)


def test_requests(service: Service, fuzz: Fuzzing) -> None:
    service.upload(NAME, zipped({f"{number}.png": photograph(7600 + number) for number in range(3)}))
    port, calls = service.client.base_url.port, calls_of(service, service.train(NAME, NAME)["id"])
    secrets = [each.encode() for each in (*SECRETS, str(service.data_dir))]
    assert port

    def send(example: tuple[bytes, bool]) -> str:
        request, whole = example
        answer = exchange(port, request, WHOLE_SECONDS if whole else UNFINISHED_SECONDS)
        status = re.match(rb"HTTP/1\.1 (\d{3})", answer)
        assert status or not (answer or whole), (request[:3000], answer[:3000])
        assert not status or int(status[1]) < 500, (request[:3000], answer[:3000])
        assert not any(each in answer for each in secrets if b"/openapi.json" not in request), (request, answer[:3000])
        return status[1].decode() if status else "closed"

    pids = [service.pid("api") or 0]
    fuzz("requests", send, requests(calls), count=150, seconds=SECONDS, memory=lambda: megabytes(*pids))
    cancel_all(service)
    assert service.ready()


def cancel_all(service: Service) -> None:
    """Ends the jobs that were made."""
    for path in ("training-jobs", "exports", "evaluations", "compositions", "labellings", "comparisons"):
        for state in ("queued", "running"):
            for each in service.client.get(f"/{path}", params={"state": state}).json()["items"]:
                service.client.post(f"/{path}/{each['id']}/cancel")
