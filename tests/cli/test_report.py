"""`flawsmith report` writes the page of the version that a reference means."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.stand_in import QuietHandler, served_by

ANSWERS = {
    "/models/steel": '{"name": "steel", "versions": [3, 2, 1], "aliases": {"stable": 1}, "serves": 2,'
    ' "created_at": "2026-01-01T00:00:00.000Z"}',
    "/models/steel/versions/1/report.html": "<!doctype html>1",
    "/models/steel/versions/2/report.html": "<!doctype html>2",
}


class Handler(QuietHandler):
    """Stands in for a service with three versions, of which it serves the second and the newest has no report."""

    def do_GET(self) -> None:
        found = ANSWERS.get(self.path)
        body = (found or '{"detail": "no report of steel@3 was made yet"}').encode()
        kind = "application/json" if found else "application/problem+json"
        self.answer(200 if found else 404, kind, body)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_by(Handler) as address:
        yield address


def report(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flawsmith.cli.main", "report", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLAWSMITH_")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("reference", "version"), [("steel@1", 1), ("steel@stable", 1), ("steel", 2)])
def test_the_page_is_written(tmp_path: Path, url: str, reference: str, version: int) -> None:
    done = report(tmp_path, reference, "--url", url)
    assert done.returncode == 0, done.stderr
    page = tmp_path / f"steel-{version}-report.html"
    assert page.read_text() == f"<!doctype html>{version}"
    assert page.name in done.stdout


def test_a_file_of_ones_own(tmp_path: Path, url: str) -> None:
    assert report(tmp_path, "steel@1", "--url", url, "--out", "page.html").returncode == 0
    assert (tmp_path / "page.html").read_text() == "<!doctype html>1"


def test_a_report_that_is_not_there_is_explained(tmp_path: Path, url: str) -> None:
    done = report(tmp_path, "steel@3", "--url", url)
    assert done.returncode == 1
    assert "no report of steel@3 was made yet" in done.stderr
    assert "aliases: stable" in report(tmp_path, "steel@beta", "--url", url).stderr
    assert list(tmp_path.iterdir()) == []
