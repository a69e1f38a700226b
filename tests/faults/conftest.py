"""Fixtures for fault injection: clusters, and the outcome of a job that nothing disturbs."""

import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import pytest
import torch

from flawsmith.core.domain.presets.dcgan import DcganOverrides
from flawsmith.models.presets.registry import build_trainer
from tests.conftest import PrintFigure as PrintFigure
from tests.conftest import photograph, start_service, until, zipped
from tests.faults.cluster import JOB, Cluster

SECONDS, FULL_SECONDS = 12.0, 60.0  # that an undisturbed job trains, at least
WARM_STEPS = 3  # of the measurement: the first steps are slow


class StartCluster(Protocol):
    """Starts a cluster that is stopped at the end of the test."""

    def __call__(self, data_dir: Path, workers: int = 2, **settings: str) -> Cluster: ...


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, full_length: bool) -> Iterator[Cluster]:
    """The shared cluster with two training workers, for tests that leave it working."""
    running = _start(tmp_path_factory.mktemp("faults"), full_length, workers=2)
    yield running
    running.stop()


@pytest.fixture
def start_cluster(full_length: bool) -> Iterator[StartCluster]:
    """Starts clusters for one test."""
    started: list[Cluster] = []

    def start(data_dir: Path, workers: int = 2, **settings: str) -> Cluster:
        started.append(_start(data_dir, full_length, workers, **settings))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture(scope="session")
def undisturbed(cluster: Cluster) -> tuple[str, str]:
    """The outcome of a job that nothing disturbs: digest of its weights, and history."""
    return cluster.outcome(cluster.submit("undisturbed"))


def _start(data_dir: Path, full_length: bool, workers: int, **settings: str) -> Cluster:
    """A cluster with the dataset ``steel``, once all its training workers are live."""
    service = start_service(data_dir, **{"segment_seconds": "3", "keep_checkpoints": "true", **settings})
    cluster = Cluster(service, steps_in(FULL_SECONDS if full_length else SECONDS))
    service.upload("steel", zipped({f"{i}.png": photograph(3000 + i) for i in range(40)}))
    for _ in range(workers - 1):
        cluster.add_worker()
    until(lambda: cluster.live_workers() == workers, 30, "all workers are live")
    return cluster


@lru_cache
def steps_in(seconds: float) -> int:
    """How many steps of `JOB` this machine trains in some seconds, so that jobs last until a test disturbs them."""
    side = int(JOB["resolution"])
    numbers = {**DcganOverrides(**JOB["overrides"]).model_dump(), "resolution": side, "channels": 1, "seed": 0}
    photographs, types = torch.zeros(40, 1, side, side, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64)
    run = build_trainer("dcgan", numbers, photographs, types, 1, torch.device("cpu"))
    for _ in range(WARM_STEPS):
        run.step(0.5)
    begun = time.process_time()  # other processes do not count
    while time.process_time() - begun < 1:
        run.step(0.5)
    return int(seconds * (run.completed_steps - WARM_STEPS))
