"""Standing webhooks and the messages to receivers, in the artifact store.

A message is a file, below ``pending`` until it is delivered or given up, then below ``ended``.
"""

from collections.abc import Iterator
from contextlib import suppress

from flawsmith.core.domain.jobs import new_identity
from flawsmith.core.domain.records import now
from flawsmith.core.domain.webhook_targets import EventType
from flawsmith.core.domain.webhooks import Delivery, DeliveryState, Webhook
from flawsmith.core.store.artifacts import OutsideStore
from flawsmith.core.store.interface import Place, Store, children

MOST_ENDED = 10_000  # messages that are kept
MOST_WEBHOOKS = 100


class UnknownWebhook(LookupError):
    """There is no standing webhook, or no message, of that id."""


class TooManyWebhooks(Exception):
    """There are `MOST_WEBHOOKS` already."""


class Webhooks:
    """Safe to use from several processes at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._standing = store.path("webhooks", "standing")
        self._pending, self._ended = (store.path("webhooks", "messages", each) for each in ("pending", "ended"))

    def add(self, url: str, events: list[EventType]) -> Webhook:
        """Raises TooManyWebhooks."""
        with self.store.locked(self._standing):
            if len(self.all()) >= MOST_WEBHOOKS:
                raise TooManyWebhooks(f"there are {MOST_WEBHOOKS} webhooks already; delete one first")
            webhook = Webhook(id=f"webhook-{new_identity()}", url=url, events=events, created_at=now())
            self._write(self._standing, webhook)
        return webhook

    def all(self) -> list[Webhook]:
        """The newest first."""
        found = []
        for path in sorted(_files(self._standing), reverse=True):
            with suppress(FileNotFoundError):
                found.append(Webhook.model_validate_json(path.read_bytes()))
        return found

    def get(self, webhook_id: str) -> Webhook:
        """Raises UnknownWebhook."""
        try:
            return Webhook.model_validate_json(self._file(self._standing, webhook_id).read_bytes())
        except (FileNotFoundError, OutsideStore):
            raise UnknownWebhook(f"there is no webhook '{webhook_id}'") from None

    def end(self, webhook_id: str, why: str) -> None:
        """The webhook is told nothing any more. One that was deleted stays so."""
        with self.store.locked(self._standing), suppress(UnknownWebhook):
            self._write(self._standing, self.get(webhook_id).changed(ended=why))

    def delete(self, webhook_id: str) -> None:
        """Messages on their way to it are given up. Raises UnknownWebhook."""
        with self.store.locked(self._standing):
            self.get(webhook_id)
            self._file(self._standing, webhook_id).unlink()

    def add_message(self, delivery: Delivery) -> bool:
        """Adds a message, unless there is one of that id; returns whether it did."""
        if any(self._file(each, delivery.id).exists() for each in (self._pending, self._ended)):
            return False
        self._write(self._pending, delivery)
        return True

    def message(self, message_id: str) -> Delivery:
        """Raises UnknownWebhook."""
        for folder in (self._pending, self._ended, self._pending):  # it may move meanwhile
            with suppress(FileNotFoundError, OutsideStore):
                return Delivery.model_validate_json(self._file(folder, message_id).read_bytes())
        raise UnknownWebhook(f"there is no message '{message_id}'; the newest {MOST_ENDED:,} are kept")

    def messages(self, before: str | None = None) -> Iterator[Delivery]:
        """The newest first; ``before`` is the id that they come after."""
        for message_id in sorted({*self.pending_ids(), *(each.stem for each in _files(self._ended))}, reverse=True):
            if before is None or message_id < before:
                with suppress(UnknownWebhook):
                    yield self.message(message_id)

    def pending_ids(self) -> list[str]:
        """Ids of the messages that are not delivered yet."""
        return [each.stem for each in _files(self._pending)]

    def record(self, delivery: Delivery) -> None:
        """Replaces a message. One that has ended moves to those."""
        pending, ended = (self._file(each, delivery.id) for each in (self._pending, self._ended))
        if delivery.state is DeliveryState.PENDING:
            self._write(self._pending, delivery)
            ended.unlink(missing_ok=True)
            return
        self._write(self._ended, delivery)
        pending.unlink(missing_ok=True)
        for old in sorted(_files(self._ended), reverse=True)[MOST_ENDED:]:
            old.unlink(missing_ok=True)

    def _write(self, folder: Place, record: Webhook | Delivery) -> None:
        self.store.write_bytes(self._file(folder, record.id), record.model_dump_json(indent=1).encode())

    def _file(self, folder: Place, name: str) -> Place:
        """Raises OutsideStore."""
        self.store.path(name)  # raises
        return folder / f"{name}.json"


def _files(folder: Place) -> list[Place]:
    return [each for each in children(folder) if each.suffix == ".json" and not each.name.startswith(".")]
