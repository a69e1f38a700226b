"""The API keys that this process knows: those of FLAWSMITH_API_KEYS, and the stored ones, read again as they change."""

import logging
import threading
from collections.abc import Mapping

from flawsmith.app.problems import Problem
from flawsmith.core.domain.api_keys import NO_LIMITS, ApiKey, Grant, digest_of
from flawsmith.core.domain.records import now
from flawsmith.core.logs import OutageLog
from flawsmith.core.setting_values import Scope
from flawsmith.core.settings import Settings
from flawsmith.core.store.api_keys import ApiKeys, Stamp
from flawsmith.core.store.opened import QUICK_STORE_SECONDS, open_store

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # after which a key that was made or revoked counts


class Keyring:
    """Finds what a key opens, without reading anything.

    Once keys are needed they stay so as long as the process lives: a store that is suddenly empty, since its disk is
    not mounted, must not open the service to everybody.
    """

    def __init__(self, own: Mapping[str, Scope], stored: ApiKeys | None = None, required: bool = False) -> None:
        """
        Args:
            own: keys that only the settings know, with their scopes.
            stored: the others.
            required: whether keys are needed though there are none.

        Raises:
            OSError, DamagedKeys: the stored keys cannot be read.
        """
        grants = ((key.encode(), scope) for key, scope in own.items())
        self._own = {digest_of(key): Grant(digest_of(key)[:16], scope) for key, scope in grants}
        self._stored: dict[str, ApiKey] = {}
        self._store = stored
        self._stamp: Stamp = None
        self.required = required or bool(own)
        self.look()

    @property
    def usable(self) -> bool:
        """Whether any key opens anything now."""
        return bool(self._own) or any(key.why_useless(now()) is None for key in self._stored.values())

    def find(self, key: bytes) -> Grant:
        """What a key opens. Raises Problem 401."""
        digest = digest_of(key)
        if own := self._own.get(digest):
            return own
        stored = self._stored.get(digest)
        if stored is None:
            raise _refusal("this service needs an API key: send the header 'Authorization: Bearer KEY'")
        if why := stored.why_useless(now()):
            raise _refusal(f"this API key ({stored.id}) is {why}; ask the operator of this service for a new one")
        return Grant(stored.id, stored.scope, stored.limits if stored.limits != NO_LIMITS else None)

    def look(self) -> None:
        """Reads the stored keys if they have changed. Raises OSError, DamagedKeys: those known before stay valid."""
        if self._store is None:
            return
        stamp = self._store.stamp()
        if stamp == self._stamp:
            return
        found = {key.digest: key for key in self._store.all()}
        if self._stored and not found:
            raise FileNotFoundError("the stored API keys are gone from the artifact store; is its disk mounted?")
        self._stored, self._stamp = found, stamp
        self.required = self.required or bool(found)

    def watch(self, stop: threading.Event) -> None:
        """Has a thread look for changes until ``stop`` is set."""
        outage = OutageLog(log, "read the stored API keys")

        def look() -> None:
            while not stop.wait(LOOK_SECONDS):
                needed = self.required
                try:
                    self.look()
                    outage.over()
                except Exception as error:  # of any store: the keys that are known stay valid, and the next look comes
                    outage.met(error)
                if self.required and not needed:
                    log.warning("the first API key was made: calls need a key from now on")

        threading.Thread(target=look, name="keyring", daemon=True).start()


def keyring_of(settings: Settings) -> Keyring:
    """The keyring of a process with these settings. Raises OSError, DamagedKeys: the stored keys cannot be read."""
    stored = ApiKeys(open_store(settings, QUICK_STORE_SECONDS))
    return Keyring(settings.keys, stored, settings.require_keys)


def _refusal(detail: str) -> Problem:
    return Problem(401, "no-key", detail, {"WWW-Authenticate": "Bearer"})
