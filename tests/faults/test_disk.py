"""Full disks and damaged files."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import until
from tests.faults.cluster import BUSY_SECONDS, Cluster
from tests.faults.conftest import PrintFigure, StartCluster

DISK_BYTES = 64 * 1024 * 1024
LEFT_BYTES = 32 * 1024  # less than a checkpoint, and than the probe of /readyz


@pytest.fixture
def small_artifact_disk(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose artifact store is on a small disk."""
    with _mounted(tmp_path / "artifacts"):
        yield tmp_path


@pytest.fixture
def small_data_disk(tmp_path: Path) -> Iterator[Path]:
    """A data folder on a small disk, where Redis writes too."""
    with _mounted(tmp_path / "data"):
        yield tmp_path / "data"


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Fills the disk up to `LEFT_BYTES`; returns the file to delete."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        while (free := shutil.disk_usage(folder).free) > LEFT_BYTES:
            file.write(bytes(min(free - LEFT_BYTES // 2, 1 << 20)))
            file.flush()
    return filler


def test_a_full_disk_fails_the_job_with_a_reason_and_it_can_be_resumed(
    small_artifact_disk: Path, start_cluster: StartCluster, undisturbed: tuple[str, str], print_figure: PrintFigure
) -> None:
    cluster = start_cluster(small_artifact_disk, workers=1)
    job = cluster.submit("disk-full")
    cluster.wait_for_checkpoints(job, 2)
    filler = _fill(small_artifact_disk / "artifacts")
    failed = cluster.wait_for_end(job, BUSY_SECONDS)
    print_figure(f"disk full: {failed['error']}")
    assert failed["state"] == "failed"
    assert "disk is full" in failed["error"]
    assert "are missing" in failed["error"]
    assert cluster.service.client.get("/readyz").json()["missing"] == ["artifact store"]
    filler.unlink()
    until(cluster.service.ready, 10, "the service is ready again")
    cluster.resume(job)
    assert cluster.outcome(job) == undisturbed
    assert "passed over" not in "".join(cluster.logs()), "a checkpoint was incomplete"


def test_a_disk_that_is_full_for_redis_too_only_delays_the_job(
    small_data_disk: Path, start_cluster: StartCluster, undisturbed: tuple[str, str], print_figure: PrintFigure
) -> None:
    cluster = start_cluster(small_data_disk, workers=1)
    job = cluster.submit("disk-full-for-redis")
    cluster.wait_for_checkpoints(job, 2)
    filler = _fill(small_data_disk)
    until(lambda: not cluster.service.ready(), 30, "the service reports that it is not ready")
    filler.unlink()
    begun = time.monotonic()
    until(cluster.service.ready, 30, "the service is ready again")
    print_figure(f"disk full for Redis too: ready {time.monotonic() - begun:.1f} s after there was space")
    if cluster.job(job)["state"] == "failed":
        cluster.resume(job)
    assert cluster.outcome(job) == undisturbed


def _flip_one_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def test_a_job_resumes_from_the_newest_checkpoint_that_is_not_damaged(
    cluster: Cluster, undisturbed: tuple[str, str]
) -> None:
    job = cluster.submit("damaged")
    damages = (_truncate, _flip_one_bit)  # of the newest and of the one before; a third is kept
    cluster.wait_for_checkpoints(job, len(damages) + 1)
    cluster.service.client.post(f"/training-jobs/{job}/cancel")
    until(lambda: not cluster.service.has_lease(job), 10, "the worker stops training the job")
    for pid in cluster.training_pids():  # workers keep the intact state in memory
        cluster.end_worker(pid)
    damaged = cluster.checkpoints(job)[: -len(damages) - 1 : -1]
    for damage, checkpoint in zip(damages, damaged, strict=True):
        damage(checkpoint / "state.safetensors")
    cluster.resume(job)
    for checkpoint in damaged:
        passed_over = f"checkpoint {checkpoint.name} is passed over"
        until(lambda words=passed_over: words in "".join(cluster.logs()), 30, "the log names the damage")
    assert cluster.outcome(job) == undisturbed
