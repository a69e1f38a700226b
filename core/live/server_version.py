"""Whether the Redis or Valkey server has holes that its makers have closed since. docs/security.md lists the CVEs."""

import logging

from redis import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

Version = tuple[int, ...]

SAFE: dict[str, dict[Version, int]] = {
    "Redis": {(6, 2): 23, (7, 2): 15, (7, 4): 10, (8, 2): 8, (8, 4): 5, (8, 6): 5, (8, 8): 1},
    "Valkey": {(7, 2): 14, (8, 0): 10, (8, 1): 9, (9, 0): 5, (9, 1): 1},
}
"""By product and line: the first release with every fix up to July 2026, among them those of CVE-2025-49844,
CVE-2026-23479, CVE-2026-25243, CVE-2026-23631 and CVE-2026-63639."""


def vulnerability(product: str, version: str) -> str | None:
    """What is wrong with a server's version, and which would be right; None where nothing is known of it."""
    try:
        number = tuple(int(part) for part in version.split(".")[:3])
    except ValueError:  # of another product that speaks the protocol
        return None
    lines = SAFE[product]
    line, patch = number[:2], number[2] if len(number) > 2 else 0
    safe = ", ".join(f"{'.'.join(map(str, each))}.{fixed}" for each, fixed in lines.items())
    if line in lines:
        if patch >= lines[line]:
            return None
        return f"{product} {version} has holes that {'.'.join(map(str, line))}.{lines[line]} closes"
    if line > max(lines):
        return None
    return f"{product} {version} is of a line without fixes; the safe ones are {safe} and later"


def warn_of_vulnerable_server(client: Redis) -> None:
    """Logs a warning where the server is too old. Where it is away, the next start looks."""
    try:
        found = client.info("server")
    except RedisError:
        return
    valkey = found.get("valkey_version")
    reason = vulnerability("Valkey" if valkey else "Redis", str(valkey or found.get("redis_version", "")))
    if reason:
        log.warning("%s, unless your distribution has brought the fixes into it (docs/security.md)", reason)
