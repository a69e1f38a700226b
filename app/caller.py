"""Names the caller of a request, for fair queueing and rate limits."""

import hashlib
from functools import lru_cache

from fastapi import Request


def caller_of(request: Request) -> str:
    """The name of the request's API key, else of its client's address. It holds no separator of the sampling queue."""
    caller: str | None = request.scope.get("flawsmith_caller")
    if caller is None:
        caller = request.scope["flawsmith_caller"] = _hashed(request.client.host if request.client else "")
    return caller


@lru_cache(1000)  # most calls come from few addresses
def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def fingerprint(request: Request) -> str:
    """Tells callers apart in records that others may read: 8 hexadecimal digits.

    A key cannot be guessed from it: scrypt makes each guess cost a twentieth of a second, and there are few digits.
    """
    return hashlib.scrypt(caller_of(request).encode(), salt=b"flawsmith", n=2**14, r=8, p=1, dklen=4).hex()
