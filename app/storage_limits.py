"""Limits on what is kept: datasets, models and jobs, and their bytes on disk. The settings say how much."""

from collections.abc import Iterator
from contextlib import contextmanager

from flawsmith.app.problems import Problem
from flawsmith.core.domain.job_kinds.training import KIND as TRAINING
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.services import Services
from flawsmith.core.store.usage import Part

_UNFINISHED = (JobState.QUEUED, JobState.RUNNING)
_HOW: dict[Part, str] = {
    "datasets": "delete some that no job uses",
    "models": "delete versions that nobody needs",
    "jobs": "delete some that have ended",
}


def check_dataset_room(services: Services, new: int, more_bytes: int) -> None:
    """Raises Problem 409 where a dataset of so many bytes has no room. ``new``: 0 if it takes another one's place."""
    settings = services.settings
    if new and settings.max_datasets:
        _check_count("datasets", services.usage.count("datasets", "ds-"), settings.max_datasets)
    _check_bytes(services, "datasets", settings.max_dataset_bytes, more_bytes)


def check_job_room(services: Services, new: int = 1) -> None:
    """Raises Problem 409 where another job has no room. ``new``: 0 for one that goes on."""
    settings = services.settings
    if new and settings.max_jobs:
        _check_count("jobs", services.usage.count("jobs"), settings.max_jobs)
    _check_bytes(services, "jobs", settings.max_job_bytes)


def check_model_room(services: Services, name: str) -> None:
    """Raises Problem 409 where a job that trains this model has no room for it."""
    settings = services.settings
    if settings.max_models:
        names = {each.name for each in services.registry.models()}
        for state in _UNFINISHED:
            jobs = services.jobs.page(TRAINING, state, settings.max_models + 1, None)
            names |= {str(getattr(each, "model", "")) for each in jobs}
        if name not in names:
            _check_count("models", len(names), settings.max_models)
    _check_bytes(services, "models", settings.max_model_bytes)


@contextmanager
def one_at_a_time(services: Services) -> Iterator[None]:
    """Keeps other calls, of all processes, from taking the room between a check and what is made. Without limits on
    counts it does nothing."""
    if not (services.settings.max_jobs or services.settings.max_models):
        yield
        return
    with services.store.locked(services.store.path("locks", "limits")):
        yield


def _check_count(part: Part, found: int, bound: int) -> None:
    if found >= bound:
        detail = f"there are {found} {part} and there may be {bound}; {_HOW[part]}, or ask the operator for more"
        raise Problem(409, "limit-reached", detail, limit=bound, found=found)


def _check_bytes(services: Services, part: Part, bound: int, more: int = 0) -> None:
    if not bound:
        return
    found = services.usage.is_over(part, bound, max(more, 1))
    if found is not None:
        needed = f", and this needs {more}" if more else ""
        detail = f"the {part} take {found} bytes of at most {bound}{needed}; {_HOW[part]}, or ask the operator for more"
        raise Problem(409, "limit-reached", detail, limit=bound, found=found)
