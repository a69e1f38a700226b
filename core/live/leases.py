"""A job's lease: the right of one worker to train it, in Redis, and to publish for it, in the artifact store."""

import secrets
from pathlib import Path
from threading import Event, Thread

from redis import Redis
from redis.exceptions import RedisError

from flawsmith.core.live import keys
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.claims import Claim

LEASE_SECONDS = 6.0  # a holder that was silent for so long has lost the job
RENEWALS = 4  # heartbeats within one lease: three may be lost

_TAKE_OR_RENEW = """
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1
"""
_GIVE_BACK = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class LeaseLost(Exception):
    """The job was given to another worker; nothing more may be written for it."""


class Lease:
    """The right to train one job, kept alive by a thread while a worker holds it.

    Redis says who may begin. Who may publish is settled in the store, by the newest `Claim`: so a holder that was
    paused, or cut off from Redis, cannot publish once another has begun; and one whose key merely ran out while Redis
    was away, with nobody else to take the job, takes it again and goes on.
    """

    def __init__(self, redis: Redis, job_id: str) -> None:
        self.redis, self.job_id = redis, job_id
        self.key = keys.job_lease(job_id)
        self.token = secrets.token_hex(8)
        self.publishing: Claim | None = None
        self._lost, self._released = Event(), Event()
        self._thread = Thread(target=self._keep, name=f"lease-{job_id}", daemon=True)

    def take(self) -> bool:
        """Whether the lease was free and is this one's now."""
        taken = self._take_or_renew()
        if taken:
            self._thread.start()
        return taken

    def claim(self, store: ArtifactStore, place: Path) -> Claim:
        """Takes over the right to publish from whoever held the lease before.

        Raises:
            LeaseLost: the lease was lost meanwhile.
        """
        self.publishing = store.claim(place)
        self.renew()
        return self.publishing

    def check(self) -> None:
        """Raises LeaseLost where another worker has the job."""
        if self._lost.is_set() or (self.publishing and not self.publishing.held):
            raise LeaseLost(f"training job {self.job_id} is no longer this worker's")

    def renew(self) -> None:
        """Holds the lease for another `LEASE_SECONDS`. Raises LeaseLost where another worker has the job."""
        self.check()
        if not self._take_or_renew():
            self._lost.set()
            self.check()

    def release(self) -> None:
        """Gives the job up; where Redis is away, the lease runs out by itself."""
        self._released.set()
        self._thread.join()
        try:
            self.redis.eval(_GIVE_BACK, 1, self.key, self.token)
        except RedisError:
            return

    def _take_or_renew(self) -> bool:
        return bool(self.redis.eval(_TAKE_OR_RENEW, 1, self.key, self.token, int(LEASE_SECONDS * 1000)))

    def _keep(self) -> None:
        while not self._released.wait(LEASE_SECONDS / RENEWALS):
            try:
                self.renew()
            except LeaseLost:
                self._lost.set()
            except RedisError:  # the next beat may get through; if none does, another worker may take the job
                continue
            if self._lost.is_set():
                return
