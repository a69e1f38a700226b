"""Every kind of problem is an exception class, with the service's words."""

import pickle
import re
from pathlib import Path

import pytest
from tests.client.both import Run, both
from tests.client.stand_in import Reply, answering, problem
from tests.conftest import free_port

from flawsmith.client import errors

APP = Path(__file__).parents[2] / "app"


def kinds_of_the_service() -> set[str]:
    """The kinds in the table of `app.problems` and at each place where a problem is raised."""
    sources = "\n".join(path.read_text() for path in APP.rglob("*.py"))
    raised = re.findall(r"\bProblem\(\s*\d{3},\s*\"([a-z-]+)\"", sources)
    listed = re.findall(r"^\| ([a-z-]+) +\| \d{3} ", (APP / "problems.py").read_text(), re.M)
    assert len(listed) > 25
    return {*raised, *listed}


def test_there_is_a_class_for_each_kind_and_no_other() -> None:
    assert set(errors.KINDS) == kinds_of_the_service()


@both
@pytest.mark.parametrize("kind", ["not-found", "invalid", "not-for-production", "no-key", "of-a-later-release"])
def test_a_refusal_is_of_its_class_and_has_all_that_the_service_said(run: Run, kind: str) -> None:
    extra = {"reasons": ["too few"], "errors": [{"pointer": "/count", "detail": "at most 256"}]}
    reply = problem(422, kind, "words", {"X-Request-ID": "r-1"}, **extra)
    with answering(lambda *_: reply) as service, pytest.raises(errors.Problem) as raised:
        run(service.url, "model", "steel")
    error = raised.value
    assert type(error) is errors.KINDS.get(kind, errors.Problem)
    assert (str(error), error.detail, error.status, error.type) == ("words", "words", 422, f"urn:flawsmith:{kind}")
    assert (error.errors, error.request_id) == (extra["errors"], "r-1")
    assert getattr(error, "reasons", ["too few"]) == ["too few"]
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.members) == (type(error), "words", error.members)


@both
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>", kind="text/html"),
        Reply(200, b"{broken"),
        Reply(200, b'{"name": "steel"}'),
        Reply(200, b"[]"),
        Reply(404, b"<html>", kind="text/html"),
        Reply(302, headers={"Location": "https://login.example"}),
        Reply(500, b"Internal Server Error", kind="text/plain"),
    ],
)
def test_another_server_is_no_flawsmith(run: Run, reply: Reply) -> None:
    with answering(lambda *_: reply) as service, pytest.raises(errors.UnexpectedAnswer):
        run(service.url, "model", "steel")


@both
@pytest.mark.parametrize("url", ["127.0.0.1:9", "ftp://127.0.0.1", "nonsense"])
def test_a_url_that_is_none_is_an_error_at_once(run: Run, url: str) -> None:
    with pytest.raises(errors.WrongUrl):
        run(url, "model", "steel")


@both
def test_a_service_that_does_not_run_is_no_answer(run: Run) -> None:
    with pytest.raises(errors.NoAnswer):
        run(f"http://127.0.0.1:{free_port()}", "model", "steel", client={"deadline": 0.1})
