"""The stored API keys: one file in the artifact store, which all API processes of all hosts share.

It is not in Redis, which may be wiped. A change replaces the whole file; readers look whether it was replaced.
"""

from flawsmith.core.domain.api_keys import ApiKey
from flawsmith.core.domain.records import now
from flawsmith.core.store.interface import Store

MOST_KEYS = 10_000

Stamp = tuple[int, int, int] | None
"""Changes whenever the file is replaced; None: there is none."""


class DamagedKeys(ValueError):
    """The file of the stored keys cannot be understood."""


class UnknownKey(LookupError):
    """There is no stored key of that id."""


class TooManyKeys(Exception):
    """There are `MOST_KEYS` that are neither revoked nor expired."""


class ApiKeys:
    """Safe to use from several processes at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._folder = store.path("api-keys")
        self._file = store.path("api-keys", "keys.json")

    def stamp(self) -> Stamp:
        """Raises OSError where the store cannot be read."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def all(self) -> list[ApiKey]:
        """The newest first. Raises OSError, DamagedKeys."""
        try:
            return [ApiKey.model_validate(each) for each in self.store.read_json(self._file)["keys"]]
        except FileNotFoundError:
            return []
        except (ValueError, LookupError, TypeError):  # the message would show what the file holds
            raise DamagedKeys(
                "the file api-keys/keys.json in the artifact store is damaged; restore it from a backup, or delete it"
                " and make new keys"
            ) from None

    def get(self, key_id: str) -> ApiKey:
        """Raises UnknownKey, DamagedKeys."""
        for key in self.all():
            if key.id == key_id:
                return key
        raise UnknownKey(f"there is no API key '{key_id}'; `flawsmith keys list` shows those that there are")

    def add(self, key: ApiKey) -> None:
        """Raises TooManyKeys, DamagedKeys. Useless keys make room, the oldest first."""
        with self.store.locked(self._folder):
            keys = self.all()
            while len(keys) >= MOST_KEYS:
                useless = [each for each in keys if each.why_useless(now())]
                if not useless:
                    raise TooManyKeys(f"there are {MOST_KEYS} API keys already; revoke one first")
                keys.remove(useless[-1])
            self._write([key, *keys])

    def revoke(self, key_id: str) -> ApiKey:
        """The key opens nothing any more. One that was revoked stays so. Raises UnknownKey, DamagedKeys."""
        with self.store.locked(self._folder):
            key = self.get(key_id)
            if key.revoked_at is None:
                revoked = key.changed(revoked_at=now())
                self._write([revoked if each == key else each for each in self.all()])
                return revoked
            return key

    def _write(self, keys: list[ApiKey]) -> None:
        self.store.write_json(self._file, {"keys": [each.model_dump(mode="json") for each in keys]})
