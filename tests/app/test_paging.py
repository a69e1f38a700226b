"""Cursors and pages of lists."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from flawsmith.app import problems
from flawsmith.app.paging import Cursor, Limit, Page, decode, encode, page

NUMBERS = [f"{number:03d}" for number in range(120, 0, -1)]


@pytest.fixture(scope="module")
def client() -> TestClient:
    """A client of an application with one list, newest first."""
    app = FastAPI()
    problems.install(app)

    @app.get("/numbers")
    def numbers(limit: Limit = 50, cursor: Cursor = None) -> Page[str]:
        return page(NUMBERS, str, limit, cursor)

    return TestClient(app)


@pytest.mark.parametrize("position", ["a", "2026-01-01T00:00:00+00:00 steel", "äöü / ?&=#", "x" * 300])
def test_a_cursor_gives_its_position_back_and_is_safe_in_a_url(position: str) -> None:
    cursor = encode(position)
    assert decode(cursor) == position
    assert all(letter.isalnum() or letter in "-_" for letter in cursor)


@pytest.mark.parametrize("limit", [1, 7, 50, 119, 120, 500])
def test_the_pages_of_a_list_have_every_item_once_and_in_order(client: TestClient, limit: int) -> None:
    items: list[str] = []
    cursor: str | None = None
    for _ in range(-(-len(NUMBERS) // limit)):
        body = client.get("/numbers", params={"limit": limit, **({"cursor": cursor} if cursor else {})}).json()
        assert len(body["items"]) <= limit
        items += body["items"]
        cursor = body["next_cursor"]
    assert items == NUMBERS
    assert cursor is None


def test_an_empty_list_is_one_empty_page() -> None:
    assert page([], str, 10, None) == Page[str](items=[], next_cursor=None)


def test_an_item_that_was_deleted_since_does_not_disturb_the_next_page() -> None:
    first = page(NUMBERS, str, 10, None)
    without_its_last_item = [number for number in NUMBERS if number != first.items[-1]]
    assert page(without_its_last_item, str, 10, first.next_cursor).items == NUMBERS[10:20]


@pytest.mark.parametrize("cursor", ["", "!", "a", "é", "_w", "abc def", "YQ=\n="])
def test_a_malformed_cursor_is_422(client: TestClient, cursor: str) -> None:
    response = client.get("/numbers", params={"cursor": cursor})
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"pointer": "/query/cursor", "detail": "not a cursor; use the next_cursor of the previous page"}
    ]


@pytest.mark.parametrize("limit", ["0", "501", "many", "-1"])
def test_a_limit_outside_1_to_500_is_422(client: TestClient, limit: str) -> None:
    response = client.get("/numbers", params={"limit": limit})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/query/limit"
