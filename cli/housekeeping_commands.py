"""The commands that keep a site in order. They run beside its data and its Redis, with the settings of the service."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawsmith.cli.options import Json
from flawsmith.cli.output import counted, print_json, print_table

if TYPE_CHECKING:
    from flawsmith.core.services import Services

PRIVATE_UMASK = 0o077  # files 0600, folders 0700
FAILED, NO_REDIS = 1, 3  # exit statuses, as of the commands that call a service

app = typer.Typer()


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be deleted")] = False,
    rules: Annotated[
        str | None, typer.Option(help="in place of FLAWSMITH_RETENTION, such as jobs:90d,exports:14d:50GB")
    ] = None,
    as_json: Json = False,
) -> None:
    """Delete what FLAWSMITH_RETENTION says: what is old or too much, and not in use."""
    from flawsmith.core.domain.retention import parse_retention
    from flawsmith.core.housekeeping.inventory import Inventory
    from flawsmith.core.housekeeping.retention import collect
    from flawsmith.core.settings import get_settings

    try:
        wanted = get_settings().retention_rules if rules is None else parse_retention(rules)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--rules") from None
    if not wanted:
        print("FLAWSMITH_RETENTION is not set, so nothing is deleted; try --dry-run --rules jobs:90d", file=sys.stderr)
        raise typer.Exit(0)
    with beside_the_site() as services:
        found = Inventory(services).due(wanted) if dry_run else collect(services, wanted).removed
    if as_json:
        return print_json([{"kind": e.stored.kind, "id": e.stored.id, "bytes": e.bytes, "why": e.why} for e in found])
    rows = [(each.stored.kind, each.stored.id, f"{each.bytes:,}", each.why) for each in found]
    print_table(("kind", "id", "bytes", "why"), rows)
    total = f"{counted(len(found), 'thing')}, {sum(each.bytes for each in found):,} bytes"
    return print(f"would delete {total}" if dry_run else f"deleted {total}", file=sys.stderr)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="to write; - for standard output")],
    as_json: Json = False,
) -> None:
    """Write the whole site into one file, while its service runs or not."""
    from flawsmith.core.housekeeping.backup import write_backup

    if str(file) == "-":
        with beside_the_site() as services:
            write_backup(services, sys.stdout.buffer)
        return None
    if file.exists():
        raise typer.BadParameter(f"there is a {file} already; give another name", param_hint="FILE")
    with beside_the_site() as services:
        partial = file.with_name(f".{file.name}.part")
        try:
            with partial.open("wb") as target:
                contents = write_backup(services, target)
                target.flush()
                os.fsync(target.fileno())
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        found = {"file": str(file), "files": len(contents.files), "bytes": file.stat().st_size}
    if as_json:
        return print_json(found)
    return print(f"{found['files']} files, {found['bytes']:,} bytes, in {file}; flawsmith restore fills an empty site")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="that flawsmith backup wrote; - for standard input")]) -> None:
    """Fill an empty site from a backup."""
    from flawsmith.core.housekeeping.restore import CannotRestore, restore_backup

    with beside_the_site() as services, ExitStack() as stack:
        source = sys.stdin.buffer if str(file) == "-" else stack.enter_context(file.open("rb"))
        try:
            head = restore_backup(services, source)
        except CannotRestore as error:
            print(error, file=sys.stderr)
            raise typer.Exit(FAILED) from None
    print(f"restored the site as of {head.created_at.isoformat()}; jobs that were unfinished go on with its workers")


@contextmanager
def beside_the_site() -> Iterator["Services"]:
    """What the site's processes work with. Ends the command with one line where Redis or the disk is away."""
    from redis.exceptions import RedisError

    from flawsmith.cli.serve import CannotServe, redis_running
    from flawsmith.core.services import Services
    from flawsmith.core.settings import get_settings

    os.umask(PRIVATE_UMASK)
    try:
        with redis_running(get_settings()):
            yield Services(get_settings(), redis_retries=0)
    except CannotServe as error:
        print(error, file=sys.stderr)
        sys.exit(NO_REDIS)
    except RedisError as error:
        print(f"Redis cannot be reached ({error}); is the service running, with these settings?", file=sys.stderr)
        sys.exit(NO_REDIS)
    except OSError as error:
        print(f"the artifact store failed: {error}", file=sys.stderr)
        sys.exit(FAILED)
