"""What is kept for how long, and what of it is due to be deleted."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

KINDS = ("jobs", "exports", "compositions", "evaluations", "checkpoints", "samples", "versions", "datasets")
"""What a rule can be of. ``jobs`` are those without a rule of their own; ``samples`` are sample grids."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
RIGHT = (
    f"give KIND:AGE, KIND:SIZE or KIND:AGE:SIZE, separated by commas, such as jobs:90d,exports:14d:50GB; kinds: "
    f"{', '.join(KINDS)}; ages end with {', '.join(_SECONDS)}, sizes with {', '.join(_BYTES)}"
)


@dataclass(frozen=True)
class Rule:
    """How long things of a kind are kept, in seconds, and how many bytes of them; None: no bound."""

    seconds: float | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Stored:
    """Something that a rule may be about.

    Attributes:
        kind: one of `KINDS`.
        id: of the job or dataset, or the reference of the version.
        since: when it ended, was published or was last used.
        used: what uses it, in words; None: nothing, so that it may be deleted.
    """

    kind: str
    id: str
    since: datetime
    used: str | None = None


@dataclass(frozen=True)
class Removal:
    """Something that is due to be deleted, its size in bytes, and the rule that says so, in words."""

    stored: Stored
    bytes: int
    why: str


def parse_retention(text: str) -> dict[str, Rule]:
    """``"jobs:90d,exports:14d:50GB"``: the rules by kind. Raises ValueError."""
    rules: dict[str, Rule] = {}
    for entry in (each.strip() for each in text.split(",") if each.strip()):
        kind, *bounds = (each.strip() for each in entry.split(":"))
        if kind not in KINDS or not 1 <= len(bounds) <= 2:
            raise ValueError(f"'{entry}' is no rule; {RIGHT}")
        if kind in rules:
            raise ValueError(f"there are two rules of '{kind}'; give one, such as {kind}:14d:50GB")
        rules[kind] = _rule(entry, bounds)
    return rules


def due(rule: Rule, stored: Iterable[Stored], sizes: Mapping[str, int], now: datetime) -> list[Removal]:
    """What a rule deletes: what is too old, and then the oldest until the rest fits. Nothing that is used.

    Args:
        rule: of the kind that all of them are.
        stored: all of a kind.
        sizes: in bytes, by id; only needed for a rule with a bound on them.
        now: the time.
    """
    oldest_first = sorted(stored, key=lambda each: (each.since, each.id))
    total = sum(sizes.get(each.id, 0) for each in oldest_first)
    found = []
    for each in oldest_first:
        size = sizes.get(each.id, 0)
        too_old = rule.seconds is not None and now - each.since > timedelta(seconds=rule.seconds)
        too_much = rule.bytes is not None and total > rule.bytes and size > 0
        if each.used is None and (too_old or too_much):
            why = f"older than {_age(rule.seconds)}" if too_old else f"all {each.kind} are over {rule.bytes:,} bytes"
            found.append(Removal(each, size, why))
            total -= size
    return found


def _rule(entry: str, bounds: list[str]) -> Rule:
    seconds: float | None = None
    size: int | None = None
    for bound in bounds:
        match = _AMOUNT.fullmatch(bound)
        amount, unit = match.groups() if match else ("", "")
        if unit in _SECONDS and seconds is None:
            seconds = float(amount) * _SECONDS[unit]
        elif unit in _BYTES and size is None:
            size = int(float(amount) * _BYTES[unit])
        else:
            raise ValueError(f"'{entry}' is no rule; {RIGHT}")
    return Rule(seconds, size)


def _age(seconds: float | None) -> str:
    """``14 d``, in the largest unit that it is a whole number of."""
    unit = next((each for each in ("d", "h", "m") if (seconds or 0) % _SECONDS[each] == 0), "s")
    return f"{(seconds or 0) / _SECONDS[unit]:g} {unit}"
