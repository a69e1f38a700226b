"""The two clients of a running service. Both have the same calls; those of `AsyncClient` are awaited."""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

import httpx2

from flawsmith.client.comparisons import ComparisonCalls
from flawsmith.client.datasets import DatasetCalls
from flawsmith.client.downloads import DownloadCalls
from flawsmith.client.drivers import CONNECT_SECONDS, AsyncDriver, SyncDriver, explained
from flawsmith.client.generation import ImageCalls
from flawsmith.client.jobs import JobCalls
from flawsmith.client.labels import LabelCalls
from flawsmith.client.models import ModelCalls
from flawsmith.client.operating import ServiceCalls
from flawsmith.client.retries import OnRetry, RetryPolicy
from flawsmith.client.webhooks import WebhookCalls


class AllCalls(
    DatasetCalls,
    JobCalls,
    ModelCalls,
    ImageCalls,
    LabelCalls,
    ComparisonCalls,
    DownloadCalls,
    WebhookCalls,
    ServiceCalls,
):
    """Every call of a client."""


class Client(AllCalls, SyncDriver):
    """A client of a running service. Threads may share it.

    Args:
        url: of the service; None: FLAWSMITH_URL, else this machine at FLAWSMITH_PORT, or 8000.
        key: an API key; None: FLAWSMITH_API_KEY; "": none.
        timeout: longest silence of the service, in seconds.
        deadline: seconds after a call's first failure, after which it is not repeated any more.
        on_retry: is told each error after which a call is repeated, and the seconds until then.
        transport: of httpx2, in place of its own.

    Raises:
        WrongUrl: the URL is none of HTTP.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        deadline: float = 120.0,
        on_retry: OnRetry | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.retry_policy = RetryPolicy(deadline, on_retry)
        try:
            self._http = httpx2.Client(**_options(url, key, timeout), transport=transport)
        except httpx2.InvalidURL as error:
            raise explained(error) from error
        self.url = str(self._http.base_url).rstrip("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()


class AsyncClient(AllCalls, AsyncDriver):
    """A client whose calls are awaited. Arguments and calls are those of `Client`."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        deadline: float = 120.0,
        on_retry: OnRetry | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.retry_policy = RetryPolicy(deadline, on_retry)
        try:
            self._http = httpx2.AsyncClient(**_options(url, key, timeout), transport=transport)
        except httpx2.InvalidURL as error:
            raise explained(error) from error
        self.url = str(self._http.base_url).rstrip("/")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes its connections."""
        await self._http.aclose()


def default_url() -> str:
    """The service that a client calls if nothing else is said."""
    return os.environ.get("FLAWSMITH_URL") or f"http://127.0.0.1:{os.environ.get('FLAWSMITH_PORT') or 8000}"


def _options(url: str | None, key: str | None, timeout: float) -> dict[str, Any]:
    key = os.environ.get("FLAWSMITH_API_KEY", "") if key is None else key
    headers = {"User-Agent": f"flawsmith/{_release()}", "Accept": "application/json, */*"}
    if key:
        headers["Authorization"] = f"Bearer {key.strip()}"
    return {
        "base_url": url or default_url(),
        "headers": headers,
        "timeout": httpx2.Timeout(timeout, connect=CONNECT_SECONDS),
    }


def _release() -> str:
    try:
        return version("flawsmith")
    except PackageNotFoundError:  # run from its sources
        return "0"
