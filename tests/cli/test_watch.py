"""`flawsmith watch` of a job that has ended, and where there is nothing to watch: one line and a status say so."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.cli.stand_in import QuietHandler, served_by
from tests.conftest import free_port
from tests.published_versions import FAILING, GOOD

from flawsmith.core.domain.records import Verdict

VERDICTS = {"job-failing": FAILING, "job-good": GOOD, "job-earlier": None}


def ended_job(verdict: Verdict | None) -> bytes:
    """What the service shows of a job that succeeded; the bare name means only versions that are not failing."""
    job = {
        "id": "job-1",
        "kind": "training",
        "created_at": "2026-01-01T00:00:00.000Z",
        "error": None,
        "state": "succeeded",
        "model": "scratches",
        "produced": "scratches@3",
        "verdict": verdict.model_dump(mode="json") if verdict else None,
        "served_by_name": verdict is not FAILING,
        "stop_reason": "completed",
        "progress": {"step": 6, "total_steps": 6, "images_per_second": None, "eta_seconds": None},
        "losses": {},
    }
    return json.dumps(job).encode()


class Handler(QuietHandler):
    """Stands in for a service: knows three jobs, or is another kind of server below /other."""

    def do_GET(self) -> None:
        if self.path.endswith("/job-timed"):
            timed = {"config": {"max_seconds": 150.0}, "progress": {"step": 503, "total_steps": 10_000}}
            self.answer(200, "application/json", json.dumps({**json.loads(ended_job(GOOD)), **timed}).encode())
        elif self.path.startswith("/other"):
            self.answer(200, "text/html", b"<html>")
        elif self.path.startswith("/moved"):
            self.answer(307, "text/html", b"", {"Location": "https://login.example"})
        elif (name := self.path.rpartition("/")[2]) in VERDICTS:
            self.answer(200, "application/json", ended_job(VERDICTS[name]))
        else:
            self.answer(404, "application/problem+json", b'{"detail": "there is no training job of that id"}')


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_by(Handler) as address:
        yield address


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLAWSMITH_")}
    command = [sys.executable, "-m", "flawsmith.cli.main", "watch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def watch(*arguments: str, status: int) -> str:
    """The one line that the command ends with."""
    done = run(*arguments)
    assert done.returncode == status
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("job", ["nojob", "../etc", "a b/c?d", "", "キズ"])
def test_an_unknown_job_is_one_line(url: str, job: str) -> None:
    assert watch(job, "--url", url, status=1) == "refused: there is no training job of that id"


def test_a_service_that_does_not_run_is_one_line() -> None:
    line = watch("job-1", "--url", f"http://127.0.0.1:{free_port()}", status=3)
    assert line.startswith("no answer from the service")
    assert "is it running" in line


@pytest.mark.parametrize("wrong", ["127.0.0.1:9", "ftp://127.0.0.1", "http://[", "http://no.such.host.invalid"])
def test_a_url_that_leads_nowhere_is_one_line(wrong: str) -> None:
    assert watch("job-1", "--url", wrong, status=3).startswith("no answer from the service")


@pytest.mark.parametrize(("path", "words"), [("/other", "no answer of Flawsmith"), ("/moved", "elsewhere")])
def test_another_server_is_one_line(url: str, path: str, words: str) -> None:
    assert words in watch("job-1", "--url", url + path, status=3)


@pytest.mark.parametrize(
    ("job", "lines"),
    [
        (
            "job-failing",
            [
                f"verdict: failing. {FAILING.sentence}",
                *FAILING.reasons,
                "'scratches' does not mean scratches@3; ask for it by its number",
            ],
        ),
        ("job-good", [f"verdict: good. {GOOD.sentence}", "'scratches' means scratches@3 now"]),
        ("job-earlier", ["'scratches' means scratches@3 now"]),
    ],
)
def test_it_says_the_verdict_and_whether_the_name_means_the_version(url: str, job: str, lines: list[str]) -> None:
    done = run(job, "--url", url)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    assert shown[shown.index("succeeded: scratches@3") + 1 :] == lines


def test_a_job_that_ended_after_its_time_is_done_whatever_steps_it_might_have_made(url: str) -> None:
    shown = run("job-timed", "--url", url).stdout.splitlines()
    assert "503 steps" in shown[0]
    assert "10000" not in shown[0]
