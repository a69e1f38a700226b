"""What a webhook needs before it is accepted."""

import ipaddress
from urllib.parse import urlsplit

from flawsmith.app.problems import Problem, invalid
from flawsmith.core.domain.webhooks import permits
from flawsmith.core.settings import Settings


def check_webhook(pointer: str, url: str, settings: Settings) -> None:
    """Raises Problem: 409 where no secret signs messages, 422 for a private address.

    What a name means is decided when it is connected to.

    Args:
        pointer: of the URL in the body.
        url: of the receiver.
        settings: of the service.
    """
    if not settings.webhook_signing_secrets:
        detail = (
            "this service has no secret to sign messages with; its operator sets FLAWSMITH_WEBHOOK_SECRETS to what "
            "`flawsmith webhook-secret` prints"
        )
        raise Problem(409, "no-webhook-secret", detail)
    host = urlsplit(url).hostname or ""
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        return
    if not permits(address, settings.webhook_networks):
        raise invalid(pointer, f"{host} is no public address; FLAWSMITH_WEBHOOK_PRIVATE_NETWORKS permits further ones")
