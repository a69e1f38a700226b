"""No answer tells where anything is on the host, whatever a caller sends and whatever is broken."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

ODD = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "a" * 300,
    "-1",
    "é\u202e",
    "{0.__class__}",
    "$(id)",
    "none",
)
NUMBERS = ("version", "seed", "step")


@pytest.fixture
def client(make_api: Callable[..., TestClient]) -> TestClient:
    return TestClient(make_api().app, base_url="http://localhost", raise_server_exceptions=False)


def answers(client: TestClient, odd: str) -> dict[str, tuple[int, str]]:
    """Status and text of every call, with this in the place of each parameter, and as a key of the body."""
    found = {}
    for route in iter_route_contexts(client.app.routes):  # type: ignore[attr-defined]
        path = str(route.path)
        for each in {odd, "1"} if any(f"{{{name}" in path for name in NUMBERS) else {odd}:
            place = re.sub(r"{\w+(:path)?}", each.replace("\\", ""), path)
            for method in route.methods or ():
                body = {"json": {odd: odd, "model": odd, "dataset": odd}} if method in ("POST", "PUT") else {}
                answer = client.request(method, place, **body)  # type: ignore[arg-type]
                found[f"{method} {place}"] = answer.status_code, answer.text
    return found


def check(found: dict[str, tuple[int, str]], data_dir: Path) -> None:
    outside = (str(data_dir), str(Path(__file__).parents[2]), str(Path(sys.prefix)), "Traceback", "site-packages")
    for call, (status, text) in found.items():
        if status >= 400 and not call.startswith("GET /readyz"):
            assert not any(each in text for each in outside), f"{call}: {text[:500]}"
            assert status != 500, f"{call}: {text[:500]}"


@pytest.mark.parametrize("odd", ODD)
def test_odd_values_are_refused_in_words_without_paths(client: TestClient, odd: str, tmp_path: Path) -> None:
    check(answers(client, odd), tmp_path)


def test_a_broken_store_is_said_without_its_place(client: TestClient, tmp_path: Path) -> None:
    for name in ("datasets", "models", "jobs", "webhooks"):
        folder = tmp_path / "artifacts" / name
        if folder.exists():
            folder.rename(tmp_path / f"{name}-away")
        folder.parent.mkdir(exist_ok=True)
        folder.write_text("a file where a folder was")
    found = answers(client, "none")
    check(found, tmp_path)
    assert any(status == 503 for status, _ in found.values())
