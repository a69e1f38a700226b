"""`flawsmith webhooks …`: standing webhooks, and whether messages arrive."""

from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from flawsmith.cli.options import Json, Key, Url, calling
from flawsmith.cli.output import print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Who is told of what happens, and whether it arrived.")


class EventType(StrEnum):
    """What a webhook can be told of."""

    JOB_RUNNING = "job.running"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    ALIAS_CHANGED = "alias.changed"
    VERSION_FAILING = "version.failing"
    VERSION_DRIFTED = "version.drifted"


class State(StrEnum):
    """The states of a message."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@app.command("list")
def list_webhooks(url: Url = "", key: Key = "", as_json: Json = False) -> None:
    """List the standing webhooks, newest first."""
    with calling(url, key) as client:
        found = list(client.webhooks())
    if as_json:
        return print_json([each.raw for each in found])
    rows = [(each.id, each.url, ", ".join(each.events), each.ended or "-") for each in found]
    return print_table(("webhook", "receiver", "events", "ended"), rows)


@app.command()
def add(
    receiver: Annotated[str, typer.Argument(help="the URL that messages are posted to")],
    event: Annotated[
        list[EventType] | None, typer.Option(help="several times for several; default: aliases, failing and drifted")
    ] = None,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Have a receiver told of every event of some types, from now on; print the webhook's id."""
    with calling(url, key) as client:
        webhook = client.add_webhook(receiver, [each.value for each in event] if event else None)
    return print_json(dict(webhook.raw)) if as_json else print(webhook.id)


@app.command()
def delete(
    webhook: Annotated[str, typer.Argument(help="its id, such as webhook-0661…")], url: Url = "", key: Key = ""
) -> None:
    """Delete a standing webhook; messages on their way to it are given up."""
    with calling(url, key) as client:
        client.delete_webhook(webhook)


@app.command()
def messages(
    of: Annotated[str | None, typer.Option(help="id of a webhook, or of a job that named one")] = None,
    state: Annotated[State | None, typer.Option(help="only those in this state")] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most so many, the newest")] = 20,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """List messages with what became of them, newest first."""
    with calling(url, key) as client:
        found = list(islice(client.webhook_messages(of, state=state.value if state else None), limit))
    if as_json:
        return print_json([each.raw for each in found])
    rows = [
        (each.id, each.type, each.state, len(each.attempts), each.url, _last_error(each.attempts)) for each in found
    ]
    return print_table(("message", "event", "state", "tries", "receiver", "last error"), rows)


@app.command()
def resend(
    message: Annotated[str, typer.Argument(help="its id, such as msg_1763…")],
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Send a message again, also one that was delivered."""
    with calling(url, key) as client:
        again = client.resend_message(message)
    return print_json(dict(again.raw)) if as_json else print(f"{again.id}: {again.state}")


def _last_error(attempts: list[dict[str, object]]) -> object:
    return (attempts[-1].get("error") if attempts else None) or "-"
