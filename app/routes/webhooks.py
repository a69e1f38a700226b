"""Standing webhooks, and the messages to receivers."""

from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from flawsmith.app.caller import caller_of
from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.paging import Cursor, Limit, Page, decode, encode, page
from flawsmith.app.problems import Problem, documented
from flawsmith.app.webhook_check import check_webhook
from flawsmith.core.domain.webhook_targets import WebhookRequest
from flawsmith.core.domain.webhooks import Delivery, DeliveryState, Webhook
from flawsmith.core.live import keys
from flawsmith.core.store.webhooks import TooManyWebhooks

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=IdempotentRoute)
messages = APIRouter(prefix="/webhook-messages", tags=["webhooks"], route_class=IdempotentRoute)

WebhookId = Annotated[str, Path(max_length=64)]
Of = Annotated[str | None, Query(max_length=80, description="id of a standing webhook, or of a job that named one")]


@router.post("", status_code=201, responses=documented(409, 415))
def create_webhook(request: Request, body: WebhookRequest, services: ServicesDep, response: Response) -> Webhook:
    """Adds a standing webhook: who is told of every event of some types, from now on."""
    check_webhook("/url", body.url, services.settings)
    services.audit.record("webhook_added", url=body.url, events=body.events, caller=caller_of(request))
    try:
        webhook = services.webhooks.add(body.url, body.events)
    except TooManyWebhooks as error:
        raise Problem(409, "conflict", str(error)) from error
    response.headers["Location"] = f"/webhooks/{webhook.id}"
    return webhook


@router.get("", responses=documented())
def list_webhooks(services: ServicesDep, limit: Limit = 50, cursor: Cursor = None) -> Page[Webhook]:
    """Standing webhooks, newest first."""
    return page(services.webhooks.all(), lambda each: each.id, limit, cursor)


@router.get("/{webhook_id}", responses=documented(404))
def get_webhook(webhook_id: WebhookId, services: ServicesDep) -> Webhook:
    """One standing webhook."""
    return services.webhooks.get(webhook_id)


@router.delete("/{webhook_id}", status_code=204, responses=documented(404))
def delete_webhook(request: Request, webhook_id: WebhookId, services: ServicesDep) -> Response:
    """Deletes a standing webhook. Messages on their way to it are given up."""
    webhook = services.webhooks.get(webhook_id)
    services.audit.record("webhook_deleted", webhook=webhook.id, url=webhook.url, caller=caller_of(request))
    services.webhooks.delete(webhook_id)
    return Response(status_code=204)


@messages.get("", responses=documented())
def list_webhook_messages(
    services: ServicesDep,
    webhook: Of = None,
    state: DeliveryState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Delivery]:
    """Messages to receivers with all attempts, newest first."""
    wanted = (
        each
        for each in services.webhooks.messages(decode(cursor))
        if webhook in (None, each.webhook) and state in (None, each.state)
    )
    found = list(islice(wanted, limit + 1))
    return Page(items=found[:limit], next_cursor=encode(found[limit - 1].id) if len(found) > limit else None)


@messages.get("/{message_id}", responses=documented(404))
def get_webhook_message(message_id: WebhookId, services: ServicesDep) -> Delivery:
    """One message."""
    return services.webhooks.message(message_id)


@messages.post("/{message_id}/resend", status_code=202, responses=documented(404, 409))
def resend_webhook_message(message_id: WebhookId, services: ServicesDep) -> Delivery:
    """Sends a message again, with its id, at once and over a day; also one that was delivered."""
    delivery = services.webhooks.message(message_id)
    check_webhook("/url", delivery.url, services.settings)
    again = delivery.again()
    services.webhooks.record(again)
    services.redis.zadd(keys.WEBHOOKS_DUE, {again.id: datetime.now(UTC).timestamp() * 1000})
    return again
