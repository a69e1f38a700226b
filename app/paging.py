"""Paging of lists: newest first, `limit`, `cursor`, `next_cursor`."""

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from flawsmith.app.problems import Problem

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=500, description="items per page")]
Cursor = Annotated[str | None, Query(max_length=512, description="next_cursor of the previous page")]


class Page(BaseModel, Generic[T]):
    """One page of a list; ``next_cursor`` is null on the last page."""

    items: list[T]
    next_cursor: str | None


def encode(position: str) -> str:
    """The cursor of a position."""
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode(cursor: str | None) -> str | None:
    """The position of a cursor. Raises Problem 422 for a malformed cursor."""
    if cursor is None:
        return None
    try:
        position = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        if not position:  # nothing comes after it: the list would seem to be over
            raise ValueError(cursor)
    except (binascii.Error, UnicodeError, ValueError):
        detail = "not a cursor; use the next_cursor of the previous page"
        raise Problem(422, "invalid", detail, errors=[{"pointer": "/query/cursor", "detail": detail}]) from None
    return position


def page(items: Iterable[T], position: Callable[[T], str], limit: int, cursor: str | None) -> Page[T]:
    """The page that follows a cursor. The items must be sorted by descending position."""
    after = decode(cursor)
    remaining = [item for item in items if after is None or position(item) < after]
    more = len(remaining) > limit
    return Page(items=remaining[:limit], next_cursor=encode(position(remaining[limit - 1])) if more else None)
