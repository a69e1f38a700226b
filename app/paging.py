"""Lists as the contract has them: newest first, `limit`, `cursor`, `next_cursor`."""

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from flawsmith.app.problems import Problem

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=500, description="items of a page")]
Cursor = Annotated[str | None, Query(max_length=512, description="next_cursor of the page before")]


class Page(BaseModel, Generic[T]):
    """One page of a list; ``next_cursor`` is null on the last."""

    items: list[T]
    next_cursor: str | None


def encode(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode(cursor: str | None) -> str | None:
    """The position behind a cursor. Raises Problem 422 for one that no page gave."""
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        detail = "is no cursor; take the next_cursor of the page before"
        raise Problem(422, "invalid", detail, errors=[{"pointer": "/query/cursor", "detail": detail}]) from None


def page(items: Iterable[T], position: Callable[[T], str], limit: int, cursor: str | None) -> Page[T]:
    """The page after a cursor of items whose positions fall."""
    after = decode(cursor)
    left = [item for item in items if after is None or position(item) < after]
    more = len(left) > limit
    return Page(items=left[:limit], next_cursor=encode(position(left[limit - 1])) if more else None)
