"""A sampling worker's shift: first the images that callers wait for, then those that the stocks refill."""

import logging
import threading
import time
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import lru_cache, partial

from prometheus_client import Counter, Histogram
from redis.exceptions import RedisError

from flawsmith.core.domain.addresses import Address
from flawsmith.core.live.image_cache import keep
from flawsmith.core.live.image_pool import PoolReplenisher, RefillRequest
from flawsmith.core.live.sampling_queue import FAILURE_MARK, MICRO_BATCH, Consumer, MicroBatch
from flawsmith.core.live.task_queues import SAMPLE, SAMPLE_TASK, worker_name
from flawsmith.core.logs import request_id as current_request_id
from flawsmith.core.store.registry import UnknownModel
from flawsmith.worker.celery import app, device, quick_services, services, stopping, threads
from flawsmith.worker.engine import Engine, encode
from flawsmith.worker.intra_op_threads import set_intra_op_threads

log = logging.getLogger(__name__)

TASK_SECONDS = 5.0  # far less than what the broker takes for a lost message
HANDING_OVER = 1  # micro-batches in consumer beyond those that have a core: one is always on its way
PACE_MEMORY = 0.8  # of the measured speed, at each micro-batch

IMAGES = Counter("flawsmith_images_generated_total", "Images made by this worker", ["model", "purpose"])
DRAW_SECONDS = Histogram("flawsmith_draw_seconds", "Time of a generator's pass over one micro-batch, in seconds")


@lru_cache
def _sampler() -> "Sampler":
    """This process's own."""
    return Sampler()


@app.task(name=SAMPLE_TASK)
def sample(request_id: str) -> None:
    """Draws for at most `TASK_SECONDS`, or until nothing is asked for and every stock is full."""
    current_request_id.set(request_id)
    if _sampler().work():
        services().queues.wake_sampler(request_id)


class Sampler:
    """Draws micro-batches side by side, encodes them and hands them over.

    On a CPU each pass has one core, and there are as many at once as there are cores: one pass over all of them makes
    its cores wait for one another at every layer. Only where nothing else is to do, the pass has all of them.
    """

    def __init__(self) -> None:
        settings, redis = services().settings, services().redis
        self.engine = Engine(services().registry, settings.loaded_generators, device())
        self.consumer = Consumer(redis, worker_name(SAMPLE))
        self.replenisher = PoolReplenisher(redis, settings)
        self.pace = Pace()
        self.narrow = _drawers(threads() + HANDING_OVER, 1)
        self.wide = _drawers(1, threads())
        self.in_flight: set[Future[None]] = set()

    def work(self) -> bool:
        """One shift; whether another is to follow."""
        self.consumer.begin()
        until, more = time.monotonic() + TASK_SECONDS, True
        try:
            while more and not stopping.is_set() and time.monotonic() < until:
                more = self._micro_batch()
                if len(self.in_flight) >= threads() + HANDING_OVER:
                    self._finish(FIRST_COMPLETED)
        finally:
            self._finish(ALL_COMPLETED)
            follow = self.consumer.end(more and not stopping.is_set())
        return follow

    def _micro_batch(self) -> bool:
        """Has drawn what is asked for most urgently; False where there is nothing to draw.

        What callers leave free of a pass is drawn for stock: it costs no more.
        """
        batch = self.consumer.take()
        spare = MICRO_BATCH - (len(batch.addresses) if batch else 0)
        refill = self.replenisher.next_batch(spare, batch.version if batch else "") if spare else None
        wanted = [each for each in (batch, refill) if each]
        if not wanted:
            return False
        version = wanted[0].version
        others = sum(not each.done() for each in self.in_flight)
        alone = not others and batch is not None and len(batch.addresses) < MICRO_BATCH
        drawers, beside = (self.wide, 1) if alone else (self.narrow, others + 1)
        self.in_flight.add(drawers.submit(self._make, version, batch, refill, beside))
        return True

    def _finish(self, when: str) -> None:
        """Waits for micro-batches in consumer. One that could not be handed over is lined up again at the shift's end."""
        done, self.in_flight = wait(self.in_flight, return_when=when)
        for each in done:
            if error := each.exception():
                log.error("a micro-batch could not be handed over", exc_info=error)

    def _make(self, version: str, batch: MicroBatch | None, refill: RefillRequest | None, beside: int) -> None:
        """Draws, one of so many passes at once, encodes and hands over."""
        addresses = [*(batch.addresses if batch else []), *(refill.addresses if refill else [])]
        begun = time.monotonic()
        try:
            with DRAW_SECONDS.time():
                pixels = self.engine.draw(version, addresses)
        except Exception as error:
            self._give_up(version, batch, error)
            return
        pngs = list(map(partial(encode, version), addresses, pixels))
        self.pace.made(version, (time.monotonic() - begun) / beside)
        if batch:
            self._deliver(batch, dict(zip(batch.addresses, pngs, strict=False)))
        if refill:
            self.replenisher.put(refill, pngs[-len(refill.addresses) :])
            IMAGES.labels(_model(version), "stock").inc(len(refill.addresses))

    def _deliver(self, batch: MicroBatch, images: dict[Address, bytes]) -> None:
        if batch.by_address:
            worth_keeping = {each: images[each] for each in batch.by_address}
            with suppress(RedisError):  # then it is drawn again for whoever asks
                keep(quick_services().redis, batch.version, worth_keeping, services().settings.cache_bytes)
        self.consumer.deliver(batch, images, self.pace.images_per_second(batch.version))
        IMAGES.labels(_model(batch.version), "request").inc(len(images))

    def _give_up(self, version: str, batch: MicroBatch | None, error: Exception) -> None:
        """Tells whoever waits why there are no images; of a version that cannot draw there is no stock either."""
        self.replenisher.drop(version)
        if batch is None:
            log.warning("no stock of %s: %s", version, error)
            return
        reason = "the worker could not make the images; its log has the details"
        if isinstance(error, UnknownModel):
            reason = str(error)
        payload = FAILURE_MARK + reason.encode()
        for request in self.consumer.deliver(batch, dict.fromkeys(batch.addresses, payload), 0.0):
            current_request_id.set(request)
            log.error("sampling of %s failed", version, exc_info=error)


class Pace:
    """How fast micro-batches of each version come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._warm: set[str] = set()
        self._seconds: dict[str, float] = {}  # of one micro-batch, by version

    def made(self, version: str, seconds: float) -> None:
        """A micro-batch took so long, divided by how many were made at once."""
        with self._lock:
            if version not in self._warm:  # the first pass loads the generator
                self._warm.add(version)
                return
            before = self._seconds.get(version, seconds)
            self._seconds[version] = PACE_MEMORY * before + (1 - PACE_MEMORY) * seconds

    def images_per_second(self, version: str) -> float:
        """What full micro-batches come to; 0 before it is known."""
        seconds = self._seconds.get(version)
        return MICRO_BATCH / seconds if seconds else 0.0


def _drawers(count: int, cores: int) -> ThreadPoolExecutor:
    """Threads each of whose passes runs on so many cores."""
    return ThreadPoolExecutor(count, f"draw-on-{cores}", set_intra_op_threads, (cores,))


def _model(version: str) -> str:
    return version.partition("@")[0]
