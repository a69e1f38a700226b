"""`flawsmith keys`: makes, lists and revokes the stored API keys of a service, in its data folder.

Running API processes see a change within seconds; nothing is restarted.
"""

import os
import re
import sys
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawsmith.cli.options import Json
from flawsmith.cli.output import print_json, print_table
from flawsmith.cli.service_commands import PRIVATE_UMASK

if TYPE_CHECKING:
    from flawsmith.core.domain.api_keys import ApiKey
    from flawsmith.core.store.api_keys import ApiKeys
    from flawsmith.core.store.audit_log import AuditLog

app = typer.Typer(no_args_is_help=True, help="API keys that the service stores as hashes: make, list and revoke them.")

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(weeks=5200)


class KeyScope(StrEnum):
    """How far a key reaches."""

    GENERATE = "generate"
    TRAIN = "train"
    ADMIN = "admin"
    METRICS = "metrics"


@app.command()
def create(
    scope: Annotated[KeyScope, typer.Option(help="how far the key reaches; metrics stands on its own")],
    name: Annotated[str, typer.Option(help="whose key it is, for people")],
    expires_in: Annotated[str, typer.Option(help="such as 90d or 12h; default: never", metavar="TIME")] = "",
    calls_per_second: Annotated[float | None, typer.Option(min=0, help="on average; 0: no bound")] = None,
    images_per_second: Annotated[float | None, typer.Option(min=0, help="on average; 0: no bound")] = None,
    images_per_day: Annotated[int | None, typer.Option(min=0, max=2**53, help="of UTC; 0: no bound")] = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it, once: only its hash is stored. Limits that are left out are those of the settings."""
    from pydantic import ValidationError

    from flawsmith.core.domain.api_keys import CallerLimits, new_key
    from flawsmith.core.domain.records import now

    expires_at = now() + _duration(expires_in) if expires_in else None
    try:
        limits = CallerLimits(
            calls_per_second=calls_per_second, images_per_second=images_per_second, images_per_day=images_per_day
        )
        key, record = new_key(name, scope.value, limits, expires_at)
    except ValidationError as error:
        found = error.errors()[0]
        raise typer.BadParameter(f"{'_'.join(map(str, found['loc']))}: {found['msg']}") from None
    keys, audit = _stored()
    audit.record("key_created", key=record.id, name=record.name, scope=record.scope)
    keys.add(record)
    if as_json:
        print_json({"key": key, **_shown(record)})
        return
    print(key)
    print(
        f"stored as {record.id} in {keys.store}; keep the key now, nothing can show it again. API processes of"
        " this data folder know it within seconds.",
        file=sys.stderr,
    )


@app.command("list")
def list_keys(as_json: Json = False) -> None:
    """List the stored keys, newest first; the keys themselves are nowhere."""
    keys, _ = _stored()
    found = [_shown(each) for each in keys.all()]
    if as_json:
        print_json(found)
        return
    columns = ("id", "name", "scope", "state", "created_at", "expires_at", "limits")
    print_table(columns, [[_cell(each[column]) for column in columns] for each in found])


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="as `flawsmith keys list` shows it", metavar="ID")]) -> None:
    """Revoke a key: calls with it get 401 within seconds. Its record stays, for the audit log."""
    keys, audit = _stored()
    record = keys.get(key_id)
    audit.record("key_revoked", key=record.id, name=record.name)
    keys.revoke(record.id)
    print(f"{record.id} ({record.name}) is revoked")


def _stored() -> "tuple[ApiKeys, AuditLog]":
    from flawsmith.core.settings import get_settings
    from flawsmith.core.store.api_keys import ApiKeys
    from flawsmith.core.store.audit_log import AuditLog
    from flawsmith.core.store.opened import STORE_SECONDS, open_store

    os.umask(PRIVATE_UMASK)
    settings = get_settings()
    folder = settings.data_dir / "artifacts"
    owner = folder.stat().st_uid if folder.exists() else os.geteuid()
    if owner != os.geteuid():  # the service could not read a file of another user's
        print(f"{folder} belongs to the user {owner}: run this command as that user", file=sys.stderr)
        raise typer.Exit(2)
    store = open_store(settings, STORE_SECONDS)
    return ApiKeys(store), AuditLog(store)


def _duration(text: str) -> timedelta:
    """``90d`` -> 90 days. Raises typer.BadParameter."""
    match = re.fullmatch(r"([1-9]\d{0,8})([mhdw])", text.strip().lower())
    if not match:
        raise typer.BadParameter(f"'{text}' is no time such as 30m, 12h, 90d or 52w")
    found = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if found > _LONGEST:
        raise typer.BadParameter(f"'{text}' is longer than 5200w; leave it out for a key that never expires")
    return found


def _shown(key: "ApiKey") -> dict[str, Any]:
    from flawsmith.core.domain.records import now

    shown = key.model_dump(mode="json", exclude={"digest"})
    return {**shown, "state": key.why_useless(now()) or "usable"}


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {limit:g}" for name, limit in value.items() if limit is not None) or "-"
    return str(value) if value is not None else "-"
