"""The registry of job kinds: those in `core.domain.job_kinds`, and those of the modules in FLAWSMITH_JOB_KINDS."""

from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules

from flawsmith.core.domain import job_kinds as included
from flawsmith.core.domain.jobs import JobKind
from flawsmith.core.settings import get_settings


class AmbiguousKinds(Exception):
    """Two kinds of job have the same name, id prefix or path."""


@lru_cache
def job_kinds() -> tuple[JobKind, ...]:
    """All kinds of job of this process.

    Raises:
        AmbiguousKinds: two kinds cannot be told apart.
        ImportError: a module of FLAWSMITH_JOB_KINDS cannot be imported.
    """
    own = [f"{included.__name__}.{module.name}" for module in iter_modules(included.__path__)]
    names = [*own, *get_settings().job_kind_modules]
    kinds: tuple[JobKind, ...] = tuple(import_module(name).KIND for name in names)
    for attribute in ("name", "id_prefix", "path"):
        values = [getattr(kind, attribute) for kind in kinds]
        if repeated := {value for value in values if values.count(value) > 1}:
            raise AmbiguousKinds(f"two kinds of job have the same {attribute}: {', '.join(sorted(repeated))}")
    return kinds
