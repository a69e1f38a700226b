"""Calls about standing webhooks and the messages to receivers (docs/webhooks.md)."""

from collections.abc import Sequence
from typing import Literal

from flawsmith.client.commands import Flow
from flawsmith.client.operations import Calls, given, iterates, operation, part, record
from flawsmith.client.pages import pages
from flawsmith.client.records import Job, Webhook, WebhookMessage

EventName = Literal[
    "job.running",
    "job.succeeded",
    "job.failed",
    "job.cancelled",
    "alias.changed",
    "version.failing",
    "version.drifted",
]
MessageState = Literal["pending", "delivered", "failed"]


class WebhookCalls(Calls):
    """Who is told what, and whether it arrived."""

    @iterates(Webhook)
    def webhooks(self) -> Flow[None]:
        """All standing webhooks, newest first."""
        yield from pages(self._get, "/webhooks", Webhook.read)

    @operation
    def webhook(self, webhook: str) -> Flow[Webhook]:
        """One standing webhook. Raises NotFound."""
        return record(Webhook.read, (yield from self._get(f"/webhooks/{part(webhook)}")))

    @operation
    def add_webhook(
        self, url: str, events: Sequence[EventName] | None = None, *, idempotency_key: str | None = None
    ) -> Flow[Webhook]:
        """Adds a standing webhook: who is told of every event of some types, from now on.

        Args:
            url: where messages are posted to.
            events: None: changed aliases, failing and drifted versions.

        Raises:
            NoWebhookSecret: the service has no secret to sign messages with.
            Invalid: a private address, or an unknown event.
        """
        body = given(url=url, events=None if events is None else list(events))
        return record(Webhook.read, (yield from self._change("POST", "/webhooks", body, idempotency_key)))

    @operation
    def delete_webhook(self, webhook: str | Webhook) -> Flow[None]:
        """Deletes a standing webhook; messages on their way to it are given up. Raises NotFound."""
        name = webhook.id if isinstance(webhook, Webhook) else webhook
        yield from self._change("DELETE", f"/webhooks/{part(name)}")

    @iterates(WebhookMessage)
    def webhook_messages(
        self, of: str | Webhook | Job | None = None, *, state: MessageState | None = None
    ) -> Flow[None]:
        """Messages with their attempts, newest first.

        Args:
            of: a standing webhook, or a job that named a receiver; None: all.
            state: those that are on their way, arrived, or were given up; None: all.
        """
        name = of.id if isinstance(of, Webhook | Job) else of
        yield from pages(self._get, "/webhook-messages", WebhookMessage.read, webhook=name, state=state)

    @operation
    def webhook_message(self, message: str) -> Flow[WebhookMessage]:
        """One message. Raises NotFound."""
        return record(WebhookMessage.read, (yield from self._get(f"/webhook-messages/{part(message)}")))

    @operation
    def resend_message(self, message: str | WebhookMessage) -> Flow[WebhookMessage]:
        """Sends a message again, at once and over a day; also one that was delivered. Raises NotFound."""
        name = message.id if isinstance(message, WebhookMessage) else message
        return record(WebhookMessage.read, (yield from self._change("POST", f"/webhook-messages/{part(name)}/resend")))
