"""API keys: what is known of one, and what its caller may do. The key itself is known to its caller alone."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from flawsmith.core.domain.jobs import new_identity
from flawsmith.core.domain.records import Moment, Record, now
from flawsmith.core.setting_values import Scope

KEY_PREFIX = "flawsmith"
SECRET_BYTES = 32  # random ones, so that one round of SHA-256 is enough: nobody guesses them
NAME_LENGTH = 64

KeyName = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CallerLimits(Record):
    """What one caller may ask for. None: as the settings say; 0: no bound."""

    calls_per_second: float | None = Field(None, ge=0, allow_inf_nan=False)
    images_per_second: float | None = Field(None, ge=0, allow_inf_nan=False)
    images_per_day: int | None = Field(None, ge=0, le=2**53)


NO_LIMITS = CallerLimits()


class ApiKey(Record):
    """A stored key. ``digest`` is the SHA-256 of the key, in hexadecimal digits.

    A revoked or expired key stays on record: what it did is in the log of calls under its ``id``.
    """

    id: Annotated[str, StringConstraints(pattern=r"^key-[0-9a-f]{1,64}$")]
    name: KeyName
    scope: Scope
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    limits: CallerLimits = Field(default_factory=CallerLimits)
    created_at: Moment
    expires_at: Moment | None = None
    revoked_at: Moment | None = None

    def why_useless(self, moment: datetime) -> str | None:
        """Why the key opens nothing at a moment: ``revoked``, ``expired``; None where it does."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= moment:
            return "expired"
        return None


def new_key(
    name: str, scope: Scope, limits: CallerLimits | None = None, expires_at: datetime | None = None
) -> tuple[str, ApiKey]:
    """A new key, and its record. The key is in no file and cannot be shown again. Raises pydantic.ValidationError."""
    identity = new_identity()
    key = f"{KEY_PREFIX}_{identity}_{secrets.token_urlsafe(SECRET_BYTES)}"
    record = ApiKey(
        id=f"key-{identity}",
        name=name,
        scope=scope,
        digest=digest_of(key.encode()),
        limits=limits or CallerLimits(),
        created_at=now(),
        expires_at=expires_at,
    )
    return key, record


def digest_of(key: bytes) -> str:
    """What a key is found by. How long the search takes tells about digests, of which nobody can choose one."""
    return hashlib.sha256(key).hexdigest()


@dataclass(frozen=True)
class Grant:
    """What a key opens.

    Attributes:
        caller: the name of its caller in logs, queues and limits.
        scope: how far it reaches.
        limits: of the caller; None: as the settings say.
    """

    caller: str
    scope: Scope
    limits: CallerLimits | None = None
