"""Headers that every answer has, so that no browser takes one for something else (OWASP REST Security Cheat Sheet).

`Strict-Transport-Security` is not among them: whether other services of the same host speak TLS, only the proxy knows.
"""

from starlette.types import Message

BASIC: dict[bytes, bytes] = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}

CONTENT_SECURITY_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
"""Of what is no page: data never loads or runs anything. Pages have their own."""


_ALL = [*BASIC.items(), CONTENT_SECURITY_POLICY]
_NAMES = frozenset(name for name, _ in _ALL)

RAW = b"".join(b"%s: %s\r\n" % each for each in _ALL)
"""For answers that are written without the application."""


def with_security_headers(message: Message) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that begins, and those of this module that it has not."""
    given: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
    own = [name for name, _ in given if name in _NAMES]
    given += _ALL if not own else [each for each in _ALL if each[0] not in own]
    return given
