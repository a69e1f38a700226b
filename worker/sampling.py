"""Sampling tasks: make the images that callers wait for first, then those that the image pools need."""

import json
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from celery import Task
from numpy.typing import NDArray
from redis.exceptions import RedisError

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.image_labels import pack
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.quality_floor import Sampled, parse_sampling_name
from flawsmith.core.live.broker_transport import SAMPLE_TASK
from flawsmith.core.live.image_cache import store_in_cache
from flawsmith.core.live.image_pool import PoolReplenisher, RefillRequest
from flawsmith.core.live.sampling_queue import (
    BELOW_FLOOR_MARK,
    FAILURE_MARK,
    GONE_MARK,
    NOT_FOUND_MARK,
    UNUSABLE_MARK,
    Consumer,
    MicroBatch,
)
from flawsmith.core.live.task_queues import SAMPLE, worker_name
from flawsmith.core.logs import request_id as current_request_id
from flawsmith.core.metrics import model_label
from flawsmith.core.store.registry import UnknownModel
from flawsmith.worker.celery import app, device, quick_services, sampling_passes, services, stopping, threads
from flawsmith.worker.engine import Engine
from flawsmith.worker.failing_versions import FailingVersions
from flawsmith.worker.intra_op_threads import set_intra_op_threads
from flawsmith.worker.sampling_metrics import (
    ALL_BELOW_FLOOR,
    BATCH_IMAGES,
    BELOW_FLOOR,
    ENCODING_SECONDS,
    FAILURES,
    IMAGES,
    PASS_SECONDS,
    REFILLED,
    WAITING_SECONDS,
)
from flawsmith.worker.task_context import working_for
from flawsmith.worker.version_sampler import UnusableVersion

log = logging.getLogger(__name__)

TASK_SECONDS = 5.0  # far less than what the broker takes for a lost message
EXTRA_IN_FLIGHT = 1  # micro-batches beyond those that have a core, so that no core waits for Redis
SPEED_MEMORY = 0.8  # weight of the earlier measurements, at each micro-batch


@lru_cache
def _sampler() -> "Sampler":
    """This process's own."""
    return Sampler()


@app.task(name=SAMPLE_TASK, bind=True)
def sample(task: "Task[Any, Any]", request_id: str) -> None:
    """Samples for at most `TASK_SECONDS`, or until no caller waits and every image pool is full."""
    with working_for(task, "sampling", request_id):
        if _sampler().run_task():
            services().queues.wake_sampler(request_id)


class Sampler:
    """Samples micro-batches in parallel, encodes the images and delivers them.

    On a CPU each pass has one core, and as many passes run at once as there are cores: in one pass over all cores, the
    cores would wait for one another at every layer. Only a pass that is alone has all cores.
    """

    def __init__(self) -> None:
        settings, redis = services().settings, services().image_redis
        self.engine = Engine(services().registry, settings.loaded_generators, device(), sampling_passes())
        self.consumer = Consumer(redis, worker_name(SAMPLE))
        self.replenisher = PoolReplenisher(redis, settings)
        self.speed, self.failing = Speed(), FailingVersions()
        self.fruitless = FailingVersions()  # those whose quality floor no image of a whole refill reached
        self.parallel = _executor(threads() + EXTRA_IN_FLIGHT, 1)
        self.alone = _executor(1, threads())
        self.in_flight: set[Future[None]] = set()

    def run_task(self) -> bool:
        """Runs one sampling task; returns whether to wake the sampler for another."""
        self.consumer.begin_task()
        until, more = time.monotonic() + TASK_SECONDS, True
        try:
            while more and not stopping.is_set() and time.monotonic() < until:
                more = self._start_batch()
                if len(self.in_flight) >= threads() + EXTRA_IN_FLIGHT:
                    self._wait(FIRST_COMPLETED)
        finally:
            self._wait(ALL_COMPLETED)
            follow = self.consumer.end_task(more and not stopping.is_set())
        return follow

    def _start_batch(self) -> bool:
        """Starts the most urgent micro-batch; returns False when there is none.

        Images for the pools fill the places that callers leave free: a pass takes as long without them.
        """
        batch = self.consumer.next_batch()
        free = MICRO_BATCH - (len(batch.addresses) if batch else 0)
        only = batch.version if batch else ""
        paused = [*self.failing.paused, *self.fruitless.paused]
        refill = self.replenisher.next_refill(free, only, paused) if free else None
        wanted = [each for each in (batch, refill) if each]
        if not wanted:
            return False
        version = wanted[0].version
        others = sum(not each.done() for each in self.in_flight)
        is_alone = not others and batch is not None and len(batch.addresses) < MICRO_BATCH
        executor, parallel = (self.alone, 1) if is_alone else (self.parallel, others + 1)
        self.in_flight.add(executor.submit(self._make, version, batch, refill, parallel))
        return True

    def _wait(self, when: str) -> None:
        """Waits for micro-batches in flight. The end of the task requeues one that could not be delivered."""
        done, self.in_flight = wait(self.in_flight, return_when=when)
        for each in done:
            if error := each.exception():
                log.error("a micro-batch could not be delivered", exc_info=error)

    def _make(self, version: str, batch: MicroBatch | None, refill: RefillRequest | None, parallel: int) -> None:
        """Samples, encodes and delivers one micro-batch. ``parallel``: how many run at once, this one included."""
        addresses = [*(batch.addresses if batch else []), *(refill.addresses if refill else [])]
        BATCH_IMAGES.observe(len(addresses))
        if batch:
            WAITING_SECONDS.observe(batch.waited_seconds)
        begun = time.monotonic()
        try:
            images = self._images(version, addresses)
        except Exception as error:
            self._report_failure(version, batch, error)
            return
        if self.failing.forget(version):
            self.consumer.recovered(version)
        seconds = (time.monotonic() - begun) / parallel
        if parse_sampling_name(version).searched:  # unlike one pass, it takes longer the more images there are
            seconds *= MICRO_BATCH / len(addresses)
        self.speed.record(version, seconds)
        if batch:
            self._deliver(batch, {each: images[each] for each in batch.addresses})
        if refill:
            self._refill(refill, images)

    def _images(self, name: str, addresses: list[Address]) -> dict[Address, bytes]:
        """The PNG at each address, its score behind `BELOW_FLOOR_MARK`, or what its candidates have.

        Of a name with labels, each PNG is packed with its labels.
        """
        sampled = parse_sampling_name(name)
        if sampled.searched:
            return self._found(sampled, addresses)
        with PASS_SECONDS.time():
            pixels = self.engine.sample(sampled.version, addresses)
        with ENCODING_SECONDS.time():
            images = self._encoded(sampled.version, sampled.floor, addresses, pixels)
        return self._labelled(sampled.version, images) if sampled.labelled else images

    def _found(self, sampled: Sampled, addresses: list[Address]) -> dict[Address, bytes]:
        """As `_images`, of images that are chosen among candidates."""
        images, found = dict[Address, bytes](), dict[Address, NDArray[np.uint8]]()
        candidates = dict[Address, int]()
        for each in self.engine.search(sampled.version, addresses):
            if each.pixels is None:
                images[each.address] = NOT_FOUND_MARK + json.dumps(each.reach).encode()
            else:
                found[each.address], candidates[each.address] = each.pixels, each.candidate
        if found:
            encoded = self._encoded(sampled.version, sampled.floor, list(found), np.stack(list(found.values())))
            images |= self._labelled(sampled.version, encoded, candidates) if sampled.labelled else encoded
        return images

    def _labelled(
        self, version: str, images: dict[Address, bytes], candidates: Mapping[Address, int] | None = None
    ) -> dict[Address, bytes]:
        """Packs each image with its labels."""
        addresses = [address for address, each in images.items() if _is_image(each)]
        if not addresses:
            return images
        found = self.engine.labels(version, addresses, [candidates[each] for each in addresses] if candidates else None)
        return images | {each: pack(images[each], labels) for each, labels in zip(addresses, found, strict=True)}

    def _encoded(
        self, version: str, floor: float | None, addresses: list[Address], pixels: NDArray[np.uint8]
    ) -> dict[Address, bytes]:
        encode = self.engine.encoder(version)
        if floor is None:
            return dict(zip(addresses, map(encode, addresses, pixels), strict=True))
        images: dict[Address, bytes] = {}
        scores = self.engine.scores(version, addresses, pixels)
        for address, each, score in zip(addresses, pixels, scores, strict=True):
            below = score < floor  # never of a type without a score
            images[address] = BELOW_FLOOR_MARK + b"%g" % score if below else encode(address, each)
        BELOW_FLOOR.labels(_model(version)).inc(sum(map(_is_below, images.values())))
        return images

    def _refill(self, refill: RefillRequest, images: dict[Address, bytes]) -> None:
        """Puts images into their pool. If the floor leaves nothing, the pool rests: it would be refilled for ever."""
        passed = [each for each in refill.addresses if not _is_below(images[each])]
        if passed:
            self.fruitless.forget(refill.version)
            self.replenisher.refill(replace(refill, addresses=passed), [images[each] for each in passed])
            IMAGES.labels(_model(refill.version), "pool").inc(len(passed))
            REFILLED.inc()
            return
        ALL_BELOW_FLOOR.inc()
        if len(refill.addresses) == MICRO_BATCH:
            self.fruitless.record(refill.version)

    def _deliver(self, batch: MicroBatch, images: dict[Address, bytes]) -> None:
        if batch.by_address:
            cacheable = {each: images[each] for each in batch.by_address if _is_image(images[each])}
            with suppress(RedisError):  # then the image is made again for the next request
                store_in_cache(quick_services().image_redis, batch.version, cacheable, services().settings.cache_bytes)
        self.consumer.deliver(batch, images, self.speed.images_per_second(batch.version))
        IMAGES.labels(_model(batch.version), "request").inc(len(images))

    def _report_failure(self, version: str, batch: MicroBatch | None, error: Exception) -> None:
        """Gives the micro-batch back for another worker; what no other can make gets the reason delivered."""
        if isinstance(error, UnknownModel):
            self._report_gone(version, batch, error)
            return
        FAILURES.labels(_model(version)).inc()
        pause = self.failing.record(version)
        wake, left = self.consumer.give_back(version, batch, pause)
        log.error("sampling of %s failed; leaving it to other workers for %.0f s", version, pause, exc_info=error)
        if batch and left:
            reason = FAILURE_MARK + b"the worker could not make the images; its log has the details"
            if isinstance(error, UnusableVersion):
                reason = UNUSABLE_MARK + str(error).encode()
            self._deliver_reason(batch, left, reason, error)
        if wake:
            services().queues.wake_sampler(current_request_id.get())

    def _report_gone(self, version: str, batch: MicroBatch | None, error: UnknownModel) -> None:
        """Drops the pools of a version that was deleted, and delivers the reason to every subscriber."""
        self.replenisher.drop(parse_sampling_name(version)[0])
        if self.failing.forget(version):
            self.consumer.recovered(version)
        if batch is None:
            log.warning("cannot refill the image pools of %s: %s", version, error)
            return
        self._deliver_reason(batch, batch.addresses, GONE_MARK + str(error).encode(), error)

    def _deliver_reason(self, batch: MicroBatch, addresses: list[Address], payload: bytes, error: Exception) -> None:
        for request in self.consumer.deliver(batch, dict.fromkeys(addresses, payload), 0.0):
            current_request_id.set(request)
            log.error("sampling of %s failed: %s", batch.version, error)


class Speed:
    """How fast this worker makes the images of each version: a moving average."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._warm: set[str] = set()
        self._seconds: dict[str, float] = {}  # of one micro-batch, by version

    def record(self, version: str, seconds: float) -> None:
        """Notes the time of a micro-batch, divided by how many were made at once."""
        with self._lock:
            if version not in self._warm:  # the first pass loads the generator
                self._warm.add(version)
                return
            before = self._seconds.get(version, seconds)
            self._seconds[version] = SPEED_MEMORY * before + (1 - SPEED_MEMORY) * seconds

    def images_per_second(self, version: str) -> float:
        """Images a second in full micro-batches; 0 while it is unknown."""
        seconds = self._seconds.get(version)
        return MICRO_BATCH / seconds if seconds else 0.0


def _executor(count: int, cores: int) -> ThreadPoolExecutor:
    """``count`` threads, each of whose passes runs on ``cores`` cores."""
    return ThreadPoolExecutor(count, f"sample-on-{cores}", set_intra_op_threads, (cores,))


def _is_below(payload: bytes) -> bool:
    return payload.startswith(BELOW_FLOOR_MARK)


def _is_image(payload: bytes) -> bool:
    return not payload.startswith((BELOW_FLOOR_MARK, NOT_FOUND_MARK))


def _model(version: str) -> str:
    """The label of the version's model."""
    return model_label(version.partition("@")[0])
