"""Whether an S3 server decides concurrent conditional writes: of many writers of one key, one must win.

`python -m benchmarks.conditional_writes BUCKET`, with the ``AWS_…`` variables that the service takes.
"""

import argparse
import secrets
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from flawsmith.core.store.object_store.bucket import Bucket, Conflict

WRITERS, ROUNDS = 16, 100


def main() -> None:
    """Prints how many rounds had how many winners."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bucket")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--writers", type=int, default=WRITERS)
    given = parser.parse_args()
    bucket = Bucket(given.bucket, f"conditional-writes-{secrets.token_hex(4)}", patience=10)
    with ThreadPoolExecutor(given.writers) as pool:
        created = Counter(
            _winners(bucket, pool, f"new-{number}", None, given.writers) for number in range(given.rounds)
        )
        replaced = Counter(
            _winners(bucket, pool, key, bucket.put(key, b"first", None), given.writers)
            for key in (f"old-{number}" for number in range(given.rounds))
        )
    bucket.delete([each.key for each in bucket.listing("")])
    for name, found in (("If-None-Match: *", created), ("If-Match", replaced)):
        verdict = "right" if set(found) == {1} else "WRONG: the artifact store would lose data"
        print(f"{name}: winners of {given.writers} in {given.rounds} rounds: {dict(found)}, {verdict}")


def _winners(bucket: Bucket, pool: ThreadPoolExecutor, key: str, replaced: str | None, writers: int) -> int:
    """How many writers got the answer that they replaced the version, or made the object."""
    at_once = threading.Barrier(writers)

    def write(number: int) -> bool:
        at_once.wait()
        with suppress(Conflict):
            bucket.put(key, f"{number}".encode(), replaced)
            return True
        return False

    return sum(pool.map(write, range(writers)))


if __name__ == "__main__":
    main()
