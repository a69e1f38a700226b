"""The registry of job kinds."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from flawsmith.core.domain.jobs import JobKind, load_object
from flawsmith.core.job_kinds import AmbiguousKinds, job_kinds
from flawsmith.core.settings import Settings, get_settings


@pytest.fixture
def kinds_from(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Reads settings and registry anew, before and after the test."""
    for cached in (get_settings, job_kinds):
        cached.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    for cached in (get_settings, job_kinds):
        cached.cache_clear()


def test_a_setting_adds_kinds_to_those_of_the_tree(kinds_from: pytest.MonkeyPatch) -> None:
    kinds_from.setenv("FLAWSMITH_JOB_KINDS", "tests.counting.kind")
    assert [kind.name for kind in job_kinds()] == ["evaluation", "training", "counting"]


def test_a_kind_that_cannot_be_told_from_another_is_refused(kinds_from: pytest.MonkeyPatch) -> None:
    kinds_from.setenv("FLAWSMITH_JOB_KINDS", "tests.counting.kind,tests.counting.kind")
    with pytest.raises(AmbiguousKinds, match="counting"):
        job_kinds()


def test_a_module_that_is_not_there_is_refused_by_the_setting() -> None:
    with pytest.raises(ValidationError, match=r"there is no module 'nowhere\.kind'"):
        Settings(job_kinds="nowhere.kind")


@pytest.mark.parametrize("kind", job_kinds(), ids=lambda kind: kind.name)
def test_a_kind_names_an_executor_and_a_router_that_are_there(kind: JobKind) -> None:
    assert callable(load_object(kind.executor))
    assert load_object(kind.router).prefix == kind.path
