"""How a caller uses two APIs: it asks one, and the other where that one does not answer or cannot serve.

docs/operations.md says so to callers.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import httpx2

from tests.faults.cluster_of_hosts import API_PORT, KEY
from tests.faults.network_namespaces import NetworkHost

ANSWER_SECONDS = 10.0  # after which a caller asks the other API
PASSED_OVER_SECONDS = 5.0  # after it did not answer, as long as the other one does
ALLOWED = {
    ("POST", "/generate"): {429, 503, 504},
    ("POST", "/training-jobs"): {409, 503},  # 409: the same Idempotency-Key is still in flight
}
ALLOWED_ELSEWHERE = {503}


@dataclass(frozen=True)
class Attempt:
    """One request to one API: ``ended`` on the monotonic clock, ``outcome`` a status or the name of an exception."""

    ended: float
    host: str
    path: str
    outcome: str
    seconds: float

    @property
    def unanswered(self) -> bool:
        return not self.outcome.isdigit()


@dataclass
class AttemptLog:
    """All attempts of a test, and the answers that the contract does not allow."""

    attempts: list[Attempt] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, attempt: Attempt) -> None:
        with self._lock:
            self.attempts.append(attempt)

    def during(self, begun: float, ended: float, path: str) -> list[Attempt]:
        """The attempts at a path that ended in this time, in their order."""
        with self._lock:
            found = [each for each in self.attempts if each.path == path and begun <= each.ended <= ended]
        return sorted(found, key=lambda each: each.ended)

    def unanswered(self) -> list[Attempt]:
        with self._lock:
            return [each for each in self.attempts if each.unanswered]

    def check(self, request: httpx2.Request, answer: httpx2.Response) -> None:
        """Notes an answer that is neither a success nor an error which the contract allows."""
        if answer.status_code < 400 or request.url.path == "/readyz":
            return
        allowed = ALLOWED.get((request.method, request.url.path), ALLOWED_ELSEWHERE)
        wrong = [] if answer.status_code in allowed else [f"status {answer.status_code}"]
        if answer.headers["Content-Type"] != "application/problem+json":
            wrong.append("no problem+json")
        elif missing := {"type", "title", "status", "detail", "instance"} - answer.json().keys():
            wrong.append(f"without {missing}")
        if answer.status_code in (429, 503) and not answer.headers.get("Retry-After", "").isdigit():
            wrong.append("without Retry-After")
        if wrong:
            said = f"{request.method} {request.url.path}: {', '.join(wrong)}: {answer.text[:300]}"
            with self._lock:
                self.violations.append(said)


class TwoApis(httpx2.BaseTransport):
    """Sends each request to the first API that answers and can serve. For one thread.

    Args:
        client: the host that sends.
        addresses: of the APIs, by name; the first one is preferred.
        log: gets every attempt.
    """

    def __init__(self, client: NetworkHost, addresses: Mapping[str, str], log: AttemptLog) -> None:
        self._client, self._addresses, self._log = client, addresses, log
        self._passed_over = dict.fromkeys(addresses, 0.0)
        self._inner = httpx2.HTTPTransport(verify=False)  # plain HTTP: no authorities have to be read

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer, error = None, None
        for name in sorted(self._addresses, key=lambda each: self._passed_over[each] > time.monotonic()):
            try:
                answer = self._attempt(name, request)
            except httpx2.TransportError as failure:
                error = failure
                self._passed_over[name] = time.monotonic() + PASSED_OVER_SECONDS
                continue
            if answer.status_code != 503:
                return answer
        if answer is None:
            assert error
            raise error
        return answer

    def _attempt(self, name: str, request: httpx2.Request) -> httpx2.Response:
        begun, outcome = time.monotonic(), ""
        url = request.url.copy_with(host=self._addresses[name], port=API_PORT)
        sent = httpx2.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        try:
            with self._client.inside():
                answer = self._inner.handle_request(sent)
                answer.read()
            outcome = str(answer.status_code)
        except Exception as failure:
            outcome = type(failure).__name__
            raise
        finally:
            now = time.monotonic()
            self._log.add(Attempt(now, name, request.url.path, outcome, now - begun))
        self._log.check(request, answer)
        return answer

    def close(self) -> None:
        self._inner.close()


@dataclass(frozen=True)
class Callers:
    """Makes the clients of a test."""

    client: NetworkHost
    addresses: Mapping[str, str]
    log: AttemptLog

    def transport(self, first: str | None = None) -> TwoApis:
        """One that prefers this API."""
        names: Sequence[str] = sorted(self.addresses, key=lambda each: each != first)
        return TwoApis(self.client, {each: self.addresses[each] for each in names}, self.log)

    def only(self, api: str) -> "Callers":
        """Those that know no other API."""
        return replace(self, addresses={api: self.addresses[api]})

    def http(self, first: str | None = None) -> httpx2.Client:
        """A client for one thread."""
        return httpx2.Client(
            base_url="http://cluster",
            headers={"Authorization": f"Bearer {KEY}"},
            transport=self.transport(first),
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=3.0),
        )


def outcomes(attempts: Sequence[Attempt]) -> str:
    """How many attempts had which outcome, such as ``200 x312, ConnectTimeout of api-1 x4``."""
    counts = Counter(f"{each.outcome} of {each.host}" if each.unanswered else each.outcome for each in attempts)
    return ", ".join(f"{name} x{count}" for name, count in sorted(counts.items())) or "none"


def longest_pause(attempts: Sequence[Attempt], begun: float, ended: float) -> float:
    """The longest time without a success, in seconds."""
    times = [begun, *(each.ended for each in attempts if each.outcome == "200"), ended]
    return max(later - earlier for earlier, later in pairwise(times))
