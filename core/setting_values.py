"""What the texts of settings mean: lists, secrets, API keys, names of modules."""

import re
from base64 import b64decode
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

Scope = Literal["generate", "train", "admin", "metrics"]


def listed(text: str) -> list[str]:
    """``"a, b"`` -> ``["a", "b"]``."""
    return [part.strip() for part in text.split(",") if part.strip()]


def listed_secrets(text: str) -> list[str]:
    """As `listed`; an entry may also end with its line, as in a file."""
    return listed(text.replace("\n", ","))


def is_webhook_secret(text: str) -> bool:
    """Whether a text is ``whsec_`` and the base64 of 24 to 64 bytes, as Standard Webhooks demands."""
    prefix, _, rest = text.partition("_")
    try:
        return prefix == "whsec" and 24 <= len(b64decode(rest, validate=True)) <= 64
    except ValueError:
        return False


def read_secret(name: str, path: Path) -> str:
    """Raises ValueError, which does not show what the file holds."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"FLAWSMITH_{name.upper()}_FILE: cannot read {path} ({reason})") from None


_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9._=-]+)*)/?")


def bucket_address(text: str) -> tuple[str, str]:
    """``"s3://bucket/a/b"`` -> ``("bucket", "a/b")``. Raises ValueError."""
    found = _BUCKET.fullmatch(text)
    if found is None or {".", ".."} & set(found[2].split("/")):
        raise ValueError("give s3://BUCKET or s3://BUCKET/PREFIX; unset, the store is a folder in FLAWSMITH_DATA_DIR")
    return found[1], found[2].removeprefix("/")


def without_credentials(address: str) -> tuple[str, str | None, str]:
    """An address without the name and the password in it, and those: None and "" where there are none."""
    parts = urlsplit(address)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    name = None if parts.username is None else unquote(parts.username)
    return plain, name, unquote(parts.password or "")


def check_modules(names: Iterable[str]) -> None:
    """Raises ValueError for a module that cannot be found."""
    for name in names:
        try:
            found = find_spec(name)
        except ImportError:  # of its package
            found = None
        if found is None:
            raise ValueError(f"there is no module '{name}'; is its folder in PYTHONPATH?")


def can_send_traces() -> bool:
    """Whether the extra `otel` is installed."""
    try:
        return all(map(find_spec, ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")))
    except ModuleNotFoundError:  # of a package above them
        return False


def parse_api_keys(text: str) -> dict[str, Scope]:
    """Parses API keys: ``"a:train,b"`` gives ``{"a": "train", "b": "admin"}``.

    Raises:
        ValueError: an unknown or empty scope, an empty key, or a key that comes twice. The message names the entry by
            its position, since the entry itself is a secret.
    """
    scopes: dict[str, Scope] = {
        "generate": "generate",
        "train": "train",
        "admin": "admin",
        "metrics": "metrics",
    }
    keys: dict[str, Scope] = {}
    for number, entry in enumerate(listed(text.replace("\n", ",")), 1):
        key, colon, scope = (part.strip() for part in entry.partition(":"))
        if not colon:
            scope = "admin"
        if not key or scope not in scopes:
            raise ValueError(
                f"entry {number} of FLAWSMITH_API_KEYS is not KEY or KEY:SCOPE with a scope of {', '.join(scopes)}"
            )
        if key in keys:
            raise ValueError(f"entry {number} of FLAWSMITH_API_KEYS repeats the key of an earlier one; remove one")
        keys[key] = scopes[scope]
    return keys
