"""A job's lease: one worker's right to run it, in Redis, and to publish for it, in the artifact store."""

import secrets
from threading import Event, Thread

from redis import Redis
from redis.exceptions import RedisError

from flawsmith.core.live import keys
from flawsmith.core.live.scripts import script
from flawsmith.core.store.interface import Claim, Place, Store

LEASE_SECONDS = 6.0  # a lease that was not renewed for so long is lost
RENEWALS = 4  # in that time: three may fail


class LeaseLost(Exception):
    """Another worker has the job; this one may write nothing more for it."""


class Lease:
    """The right to run one job. A thread renews it while a worker holds it.

    Redis decides who may begin. The newest `Claim` in the artifact store decides who may publish: a holder that was
    paused, or cut off from Redis, cannot publish once another worker has begun. A holder whose lease merely expired
    while Redis was away acquires it again and continues, unless another worker came first.
    """

    def __init__(self, redis: Redis, job_id: str, queue: str) -> None:
        self.redis, self.job_id = redis, job_id
        self.key = keys.job_lease(job_id)
        self.token = secrets.token_hex(8)
        self._keys = [self.key, keys.leases(queue)]
        self._hold, self._release = (redis.register_script(script(name)) for name in ("lease_hold", "lease_release"))
        self._claim: Claim | None = None
        self._lost, self._released = Event(), Event()
        self._thread = Thread(target=self._keep, name=f"lease-{job_id}", daemon=True)

    def acquire(self) -> bool:
        """Whether the lease was free; it is held from now on."""
        acquired = self._acquire_or_renew()
        if acquired:
            self._thread.start()
        return acquired

    def claim(self, store: Store, folder: Place) -> Claim:
        """Takes the right to publish from the holder before.

        Raises:
            LeaseLost: the lease was lost meanwhile.
        """
        self._claim = store.claim(folder)
        self.renew()
        return self._claim

    def check(self) -> None:
        """Raises LeaseLost where another worker has the job."""
        if self._lost.is_set() or (self._claim and not self._claim.held):
            raise LeaseLost(f"job {self.job_id} belongs to another worker now")

    def renew(self) -> None:
        """Holds the lease for another `LEASE_SECONDS`. Raises LeaseLost where another worker has the job."""
        self.check()
        if not self._acquire_or_renew():
            self._lost.set()
            self.check()

    def release(self) -> None:
        """Gives the job up. While Redis is away, the lease expires by itself."""
        self._released.set()
        self._thread.join()
        try:
            self._release(self._keys, [self.token, self.job_id])
        except RedisError:
            return

    def _acquire_or_renew(self) -> bool:
        milliseconds = int(LEASE_SECONDS * 1000)
        return bool(self._hold(self._keys, [self.token, self.job_id, milliseconds]))

    def _keep(self) -> None:
        while not self._released.wait(LEASE_SECONDS / RENEWALS):
            try:
                self.renew()
            except LeaseLost:
                self._lost.set()
            except RedisError:  # the next renewal may succeed; if none does, another worker may begin the job
                continue
            if self._lost.is_set():
                return
