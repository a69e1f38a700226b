"""Options that several commands have."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from flawsmith.client import Client

Url = Annotated[
    str, typer.Option("--url", help="the service; default: FLAWSMITH_URL, else the one on this machine", metavar="URL")
]
Key = Annotated[
    str,
    typer.Option("--key", help="API key; default: FLAWSMITH_API_KEY, which other users of a machine cannot see"),
]
TagOption = Annotated[list[str] | None, typer.Option("--tag", help="a tag; several times for several")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]


@contextmanager
def calling(url: str, key: str) -> Iterator["Client"]:
    """A client of the service. Its errors end the command with one line and a status, instead of a traceback."""
    from flawsmith.cli.connection import connect, explained

    with explained(), connect(url, key) as client:
        yield client


def of_job(name: str) -> bool:
    """Whether a name is a job's id, and no reference to a version: its kind, ``-``, and what tells the time."""
    return re.fullmatch(r"[a-z][a-z0-9]*-[0-9a-f]{20}", name) is not None


def ranges(texts: list[str]) -> dict[str, tuple[float, float]] | None:
    """``["angle=30..60"]`` -> ``{"angle": (30, 60)}``. Raises typer.BadParameter."""
    found = {}
    for text in texts:
        name, _, bounds = text.partition("=")
        low, dots, high = bounds.partition("..")
        try:
            found[name] = (float(low), float(high if dots else low))
        except ValueError:
            raise typer.BadParameter(f"'{text}' is not NAME=LOW..HIGH, such as angle=30..60") from None
    return found or None


def shares(text: str) -> dict[str, float] | None:
    """``"train=0.8,val=0.2"`` -> ``{"train": 0.8, "val": 0.2}``. Raises typer.BadParameter."""
    pairs = [each.partition("=") for each in text.split(",") if each]
    try:
        return {name.strip(): float(share) for name, _, share in pairs} or None
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not NAME=SHARE,NAME=SHARE, such as train=0.8,val=0.2") from None


def file_named(text: str) -> Path | None:
    """The file of this name; None: there is none."""
    try:
        return Path(text) if Path(text).is_file() else None
    except (OSError, ValueError):  # no file can be called so
        return None


def span(text: str) -> tuple[int, int] | None:
    """``"1..3"`` -> ``(1, 3)``. Raises typer.BadParameter."""
    low, dots, high = text.partition("..")
    try:
        return (int(low), int(high if dots else low)) if text else None
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not LOW..HIGH, such as 1..3") from None


def corners(text: str) -> list[tuple[float, float]]:
    """``"10,10 90,10 50,80"`` -> ``[(10, 10), (90, 10), (50, 80)]``. Raises typer.BadParameter."""
    try:
        return [(float(x), float(y)) for x, _, y in (each.partition(",") for each in text.split())]
    except ValueError:
        raise typer.BadParameter(f"'{text}' is neither a file nor corners X,Y X,Y X,Y") from None


def values(texts: list[str]) -> dict[str, Any] | None:
    """``["batch_size=8", "precision=bfloat16"]`` -> ``{"batch_size": 8, "precision": "bfloat16"}``: JSON, else text.

    Raises typer.BadParameter.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"'{text}' is not NAME=VALUE, such as batch_size=8")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found or None
