"""A sampling worker's shift: first the images that callers wait for, then those that the stocks lack."""

import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram
from redis.exceptions import RedisError

from core.addresses import Address
from core.image_cache import keep
from core.logs import request_id as current_request_id
from core.queues import SAMPLE, SAMPLE_SHIFT, worker_name
from core.registry import UnknownModel
from core.stock import Lack, Shelves
from core.work import FAILURE_MARK, MICRO_BATCH, Batch, Hand
from worker.celery import app, device, quick_services, services, stopping
from worker.engine import Engine, encode

log = logging.getLogger(__name__)

SHIFT_SECONDS = 5.0  # far less than what the broker takes for a lost message
HANDING_OVER = 2  # micro-batches that may wait for their encoding and delivery
PACE_MEMORY = 0.8  # of the measured speed, at each micro-batch

IMAGES = Counter("flawsmith_images_generated_total", "Images made by this worker", ["model", "purpose"])
DRAW_SECONDS = Histogram("flawsmith_draw_seconds", "Time of a generator's pass over one micro-batch, in seconds")


@lru_cache
def _sampler() -> "Sampler":
    """This process's own."""
    return Sampler()


@app.task(name=SAMPLE_SHIFT)
def sample_shift(request_id: str) -> None:
    """Draws for at most `SHIFT_SECONDS`, or until nothing is asked for and every stock is full."""
    current_request_id.set(request_id)
    if _sampler().work():
        services().queues.send_shift(request_id)


class Sampler:
    """Draws a micro-batch while those before it are encoded and handed over."""

    def __init__(self) -> None:
        settings, redis = services().settings, services().redis
        self.engine = Engine(services().registry, settings.loaded_generators, device())
        self.hand = Hand(redis, worker_name(SAMPLE))
        self.shelves = Shelves(redis, settings)
        self.handing_over = ThreadPoolExecutor(HANDING_OVER, thread_name_prefix="hand-over")
        # A micro-batch's encoding is spread over all cores: where one of them had it alone, the others, which share
        # the next pass with it, would wait for that one.
        self.encoders = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="encode")
        self._warm: set[str] = set()
        self._seconds: dict[str, float] = {}  # of one micro-batch, by version

    def work(self) -> bool:
        """One shift; whether another is to follow."""
        self.hand.begin()
        handing_over: deque[Future[None]] = deque()
        until, more = time.monotonic() + SHIFT_SECONDS, True
        try:
            while more and not stopping.is_set() and time.monotonic() < until:
                begun = time.monotonic()
                following = self._micro_batch()
                more = following is not None
                if following is not None:
                    version, future = following
                    handing_over.append(future)
                    if len(handing_over) > HANDING_OVER:
                        _finish(handing_over.popleft())
                    self._measure(version, time.monotonic() - begun)
        finally:
            for each in handing_over:
                _finish(each)
            follow = self.hand.end(more and not stopping.is_set())
        return follow

    def _micro_batch(self) -> tuple[str, Future[None]] | None:
        """Draws what is asked for most urgently, and has it handed over; None where there is nothing to draw.

        What callers leave free of a pass is drawn for stock: it costs no more.
        """
        batch = self.hand.take()
        spare = MICRO_BATCH - (len(batch.addresses) if batch else 0)
        lack = self.shelves.next_batch(spare, batch.version if batch else "") if spare else None
        if batch:
            version = batch.version
        elif lack:
            version = lack.version
        else:
            return None
        addresses = [*(batch.addresses if batch else []), *(lack.addresses if lack else [])]
        try:
            pixels = self._draw(version, addresses)
        except Exception as error:
            return version, self.handing_over.submit(self._give_up, version, batch, error)
        return version, self.handing_over.submit(self._hand_over, batch, lack, pixels)

    def _draw(self, version: str, addresses: Sequence[Address]) -> NDArray[np.uint8]:
        with DRAW_SECONDS.time():
            return self.engine.draw(version, addresses)

    def _hand_over(self, batch: Batch | None, lack: Lack | None, pixels: NDArray[np.uint8]) -> None:
        if batch:
            pngs = self._encoded(batch.version, batch.addresses, pixels[: len(batch.addresses)])
            self._deliver(batch, dict(zip(batch.addresses, pngs, strict=True)))
        if lack:
            self.shelves.put(lack, self._encoded(lack.version, lack.addresses, pixels[-len(lack.addresses) :]))
            IMAGES.labels(_model(lack.version), "stock").inc(len(lack.addresses))

    def _encoded(self, version: str, addresses: Sequence[Address], pixels: NDArray[np.uint8]) -> list[bytes]:
        return list(self.encoders.map(partial(encode, version), addresses, pixels))

    def _deliver(self, batch: Batch, images: dict[Address, bytes]) -> None:
        if batch.by_address:
            worth_keeping = {each: images[each] for each in batch.by_address}
            with suppress(RedisError):  # then it is drawn again for whoever asks
                keep(quick_services().redis, batch.version, worth_keeping, services().settings.cache_bytes)
        self.hand.deliver(batch, images, self._images_per_second(batch.version))
        IMAGES.labels(_model(batch.version), "request").inc(len(images))

    def _give_up(self, version: str, batch: Batch | None, error: Exception) -> None:
        """Tells whoever waits why there are no images; of a version that cannot draw there is no stock either."""
        self.shelves.drop(version)
        if batch is None:
            log.warning("no stock of %s: %s", version, error)
            return
        reason = "the worker could not make the images; its log has the details"
        if isinstance(error, UnknownModel):
            reason = str(error)
        payload = FAILURE_MARK + reason.encode()
        for request in self.hand.deliver(batch, dict.fromkeys(batch.addresses, payload), 0.0):
            current_request_id.set(request)
            log.error("sampling of %s failed", version, exc_info=error)

    def _measure(self, version: str, seconds: float) -> None:
        if version not in self._warm:  # the first pass loads the generator
            self._warm.add(version)
            return
        before = self._seconds.get(version, seconds)
        self._seconds[version] = PACE_MEMORY * before + (1 - PACE_MEMORY) * seconds

    def _images_per_second(self, version: str) -> float:
        """What full micro-batches would come to; 0 before the first."""
        seconds = self._seconds.get(version)
        return MICRO_BATCH / seconds if seconds else 0.0


def _finish(handing_over: Future[None]) -> None:
    """What could not be handed over is lined up again at the shift's end."""
    try:
        handing_over.result()
    except Exception:
        log.exception("a micro-batch could not be handed over")


def _model(version: str) -> str:
    return version.partition("@")[0]
