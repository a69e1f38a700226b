"""Turns a flow into a method of both clients: `Client` waits for its result, `AsyncClient` awaits it."""

import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from urllib.parse import quote

from flawsmith.client.commands import Answer, Flow, Request
from flawsmith.client.drivers import AsyncDriver, SyncDriver
from flawsmith.client.errors import UnexpectedAnswer
from flawsmith.client.retries import RetryPolicy, repeated

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class Calls:
    """What the calls of a client share."""

    retry_policy: RetryPolicy

    def _get(self, path: str, **params: Any) -> Flow[Answer]:
        """GET. Parameters that are None are left out."""
        return repeated(self.retry_policy, Request(method="GET", path=path, params=texts(params)))

    def _change(self, method: str, path: str, json: Any = None, key: str | None = None, **params: Any) -> Flow[Answer]:
        """A call that changes something, once: with an Idempotency-Key that its repetitions have too."""
        headers = {"Idempotency-Key": key or new_key()}
        request = Request(method=method, path=path, json=json, headers=headers, params=texts(params))
        return repeated(self.retry_policy, request)


class operation(Generic[P, T]):
    """A method of both clients, of a flow with a result."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.flow = flow
        update_wrapper(self, flow)  # type: ignore[arg-type]

    @overload
    def __get__(self, client: None, owner: Any = None) -> Callable[Concatenate[Any, P], Flow[T]]: ...
    @overload
    def __get__(self, client: SyncDriver, owner: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncDriver, owner: Any = None) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: SyncDriver | AsyncDriver | None, owner: Any = None) -> Any:
        if client is None:
            return self.flow

        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self.flow(client, *args, **kwargs))

        return update_wrapper(call, self.flow)


class iterating_operation(Generic[P, T]):
    """A method of both clients, of a flow that emits items one after the other."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[Any]], _of: type[T]) -> None:
        self.flow = flow
        update_wrapper(self, flow)  # type: ignore[arg-type]

    @overload
    def __get__(self, client: None, owner: Any = None) -> Callable[Concatenate[Any, P], Flow[Any]]: ...
    @overload
    def __get__(self, client: SyncDriver, owner: Any = None) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncDriver, owner: Any = None) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(self, client: SyncDriver | AsyncDriver | None, owner: Any = None) -> Any:
        if client is None:
            return self.flow

        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.iterate(self.flow(client, *args, **kwargs))

        return update_wrapper(call, self.flow)


def iterates(item: type[T]) -> Callable[[Callable[Concatenate[Any, P], Flow[Any]]], iterating_operation[P, T]]:
    """Decorates a flow that emits such items."""
    return lambda flow: iterating_operation(flow, item)


def new_key() -> str:
    """An Idempotency-Key that nobody has used."""
    return uuid.uuid4().hex


def part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def texts(params: dict[str, Any]) -> dict[str, str]:
    """Query parameters as text; None is left out."""
    shown = {True: "true", False: "false"}
    return {
        name: shown[value] if isinstance(value, bool) else str(value)
        for name, value in params.items()
        if value is not None
    }


def given(**values: Any) -> dict[str, Any]:
    """The keys of a body that the caller has given: None means the service's own default."""
    return {name: value for name, value in values.items() if value is not None}


def record(read: Callable[[Any], R], answer: Answer) -> R:
    """The record that an answer means. Raises UnexpectedAnswer."""
    content = answer.json()
    try:
        return read(content)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UnexpectedAnswer(f"this client cannot read the answer ({error}); is it of another release?") from error
