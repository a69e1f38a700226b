"""The table of every route against every scope, for docs/scopes.md: `python docs/write_scope_table.py`."""

from collections.abc import Iterator
from typing import get_args

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from flawsmith.app.auth import OF_ANY_KEY, is_public, permits, required_scope
from flawsmith.core.setting_values import Scope

SCOPES: tuple[Scope, ...] = get_args(Scope)
BEGIN, END = "<!-- scopes: written by docs/write_scope_table.py -->", "<!-- end of scopes -->"


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of every route, those that the OpenAPI document leaves out included."""
    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or ()):
            yield method, str(route.path)


def row(method: str, path: str) -> list[bool]:
    """Whether a call without a key, and with one of each of `SCOPES`, may pass."""
    if is_public(path, documents=True):
        return [True] * (1 + len(SCOPES))
    if path == OF_ANY_KEY:
        return [False, *([True] * len(SCOPES))]
    return [False, *(permits(scope, required_scope(method, path)) for scope in SCOPES)]


def scope_table(app: FastAPI) -> str:
    """In Markdown."""
    head = ["| call | no key | " + " | ".join(f"`{scope}`" for scope in SCOPES) + " |", "|---|" + "---|" * 5]
    rows = [
        f"| `{method} {path}` | " + " | ".join("yes" if each else "-" for each in row(method, path)) + " |"
        for method, path in sorted(routes(app), key=lambda each: (each[1], each[0]))
    ]
    return "\n".join([*head, *rows])


def with_scope_table(text: str, app: FastAPI) -> str:
    """A document with the table between its markers. Raises ValueError without these."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"the document needs the markers {BEGIN} and {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{scope_table(app)}\n{END}{after}"
