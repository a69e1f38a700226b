"""What of Redis a backup keeps: what callers would miss, and what the artifact store does not have.

These are the answers under idempotency keys, events, recorded steps and progress of jobs, and counters. Leases, queues,
pools and caches are of the moment and are made anew. Values are JSON, so that any release of the server can have them.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast

from redis import Redis

from flawsmith.core.domain.jobs import JOB_ID_PATTERN
from flawsmith.core.live import keys

SCANNED_AT_ONCE = 500
_JOB = JOB_ID_PATTERN[1:-1]
_KEPT = re.compile(
    rf"{keys.PREFIX}:(?:job:(?P<job>{_JOB})(?:|:events|:history)|idempotency:[0-9a-f]+|idempotency-keys:.*|seed:.*"
    rf"|turn:.*|quota:.*)",
    re.DOTALL,
)

_PROGRESS = {"progress", "losses", "health", "checkpoint_step"}  # fields that a job's worker reports

Line = dict[str, Any]


def saved(client: Redis) -> Iterator[Line]:
    """A line for each key that is kept. Keys that go meanwhile are left out. Raises RedisError."""
    names = (key for key in client.scan_iter(f"{keys.PREFIX}:*", count=SCANNED_AT_ONCE) if kept(key))
    for key in names:
        kind = cast(bytes, client.type(key)).decode()
        if kind not in _READ:
            continue
        pipe = client.pipeline()
        _READ[kind](pipe, key)
        pipe.pttl(key)
        value, milliseconds = pipe.execute()
        if value:
            shown = _texts(value.items() if isinstance(value, dict) else value)
            yield {"key": _text(key), "type": kind, "milliseconds": milliseconds, "value": shown}


def kept(key: bytes) -> bool:
    """Whether a backup has this key."""
    return _match(key) is not None


def job_of(line: Line) -> str | None:
    """The id of the job that a line is of."""
    match = _match(b64decode(line["key"]))
    return match["job"] if match else None


def load(client: Redis, line: Line) -> None:
    """Writes a line that `saved` gave, unless the key is there. Raises RedisError, ValueError, KeyError."""
    key, kind = b64decode(line["key"]), line["type"]
    if not kept(key) or client.exists(key):
        return
    with client.pipeline() as pipe:
        _WRITE[kind](pipe, key, line["value"])
        if line["milliseconds"] > 0:
            pipe.pexpire(key, line["milliseconds"])
        pipe.execute()


def load_progress(client: Redis, line: Line) -> None:
    """Writes how far a job is into its record of the artifact store, if that is of the same state."""
    key = b64decode(line["key"])
    with suppress(ValueError, KeyError, TypeError):
        record, stored = json.loads(b64decode(line["value"])), json.loads(cast(bytes, client.get(key) or b"null"))
        if len(stored["transitions"]) == len(record["transitions"]):
            client.set(key, json.dumps({**stored, **{name: record[name] for name in _PROGRESS & record.keys()}}))


def is_record(line: Line) -> bool:
    """Whether a line is the record of a job."""
    return job_of(line) is not None and line["type"] == "string"


def is_of_images(line: Line) -> bool:
    """Whether a line belongs where the image pools are: it counts seeds, or turns of defect types."""
    return b64decode(line["key"]).startswith((keys.NEXT_SEED.encode(), keys.next_type("").encode()))


def _match(key: bytes) -> re.Match[str] | None:
    try:
        return _KEPT.fullmatch(key.decode())
    except UnicodeDecodeError:
        return None


_READ: dict[str, Callable[[Any, bytes], Any]] = {
    "string": lambda pipe, key: pipe.get(key),
    "hash": lambda pipe, key: pipe.hgetall(key),
    "list": lambda pipe, key: pipe.lrange(key, 0, -1),
    "set": lambda pipe, key: pipe.smembers(key),
    "zset": lambda pipe, key: pipe.zrange(key, 0, -1, withscores=True),
    "stream": lambda pipe, key: pipe.xrange(key),
}


def _pairs(value: list[list[Any]]) -> dict[bytes, bytes]:
    return {b64decode(name): b64decode(each) for name, each in value}


def _add_entries(pipe: Any, key: bytes, value: list[Any]) -> None:
    for entry, fields in value:
        pipe.xadd(key, _pairs(fields), id=b64decode(entry))


_WRITE: dict[str, Callable[[Any, bytes, Any], Any]] = {
    "string": lambda pipe, key, value: pipe.set(key, b64decode(value)),
    "hash": lambda pipe, key, value: pipe.hset(key, mapping=_pairs(value)),
    "list": lambda pipe, key, value: pipe.rpush(key, *map(b64decode, value)),
    "set": lambda pipe, key, value: pipe.sadd(key, *map(b64decode, value)),
    "zset": lambda pipe, key, value: pipe.zadd(key, {b64decode(name): score for name, score in value}),
    "stream": _add_entries,
}


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _texts(value: Any) -> Any:
    """Bytes as base64, within lists and pairs too."""
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, dict):
        value = value.items()
    return [_texts(each) for each in value]
