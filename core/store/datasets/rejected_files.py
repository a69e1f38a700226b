"""Bounds what an answer lists of the files that cannot be used."""

import json

from flawsmith.core.domain.records import RejectedFile

MAX_REJECTED_LISTED = 1000
MAX_REJECTED_BYTES = 256 * 1024  # of all listed names and reasons, in JSON
MAX_LISTED_PATH_LENGTH = 200  # characters


def shortened(path: str) -> str:
    """The path, without its middle where it is too long to list."""
    half = MAX_LISTED_PATH_LENGTH // 2
    return path if len(path) <= MAX_LISTED_PATH_LENGTH else f"{path[:half]} … {path[-half:]}"


def listed(rejected: list[RejectedFile]) -> list[RejectedFile]:
    """As many of the rejected files as an answer may list, and a last entry that counts the others."""
    count = size = 0
    for each in rejected[:MAX_REJECTED_LISTED]:
        size += len(json.dumps([each.file, each.reason]))
        if size > MAX_REJECTED_BYTES:
            break
        count += 1
    if count == len(rejected):
        return rejected
    return [*rejected[:count], RejectedFile(file="…", reason=f"and {len(rejected) - count} more")]
