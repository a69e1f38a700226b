"""Lists, page by page."""

from collections.abc import Callable
from typing import Any

from flawsmith.client.commands import Answer, Flow, emit
from flawsmith.client.operations import record

AT_ONCE = 100


def pages(get: Callable[..., Flow[Answer]], path: str, read: Callable[[Any], Any], **params: Any) -> Flow[None]:
    """Emits each item of a list."""
    cursor = None
    while True:
        answer = yield from get(path, limit=AT_ONCE, cursor=cursor, **params)
        content = answer.json()
        for item in record(lambda page: [read(each) for each in page["items"]], answer):
            yield from emit(item)
        cursor = content.get("next_cursor")
        if cursor is None:
            return
