"""Names the caller of a request, for fair queueing and rate limits."""

import hashlib
from functools import lru_cache

from fastapi import Request


def caller_of(request: Request) -> str:
    """The name of the request's API key, else of its client's address. It holds no separator of the sampling queue."""
    caller: str | None = request.scope.get("flawsmith_caller")
    return caller or _hashed(request.client.host if request.client else "")


@lru_cache(maxsize=10_000)
def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
