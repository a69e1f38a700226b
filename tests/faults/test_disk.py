"""A full disk, and damage on it."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import until
from tests.faults.conftest import Site, start_site

DISK_BYTES = 64 * 1024 * 1024
LEFT_BYTES = 32 * 1024  # less than a checkpoint, and than what readiness tries to write


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose artifact store has a disk of its own."""
    with _mounted(tmp_path / "artifacts"):
        yield tmp_path


@pytest.fixture
def small_disk_for_all(tmp_path: Path) -> Iterator[Path]:
    """A data folder that is a disk of its own: Redis writes there, too."""
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
    filler = folder / "filler"
    with filler.open("wb") as file:
        while (free := shutil.disk_usage(folder).free) > LEFT_BYTES:
            file.write(bytes(min(free - LEFT_BYTES // 2, 1 << 20)))
            file.flush()
    return filler


def test_a_full_disk_fails_the_job_in_words_and_resume_goes_on(
    small_disk: Path, undisturbed: tuple[str, str], full: bool, tell: Callable[[str], None]
) -> None:
    site = start_site(small_disk, full, workers=1)
    try:
        job = site.submit("disk-full")
        site.saved(job, 2)
        filler = _fill(small_disk / "artifacts")
        failed = until(lambda: (record := site.job(job))["state"] == "failed" and record, 60, "the job fails")
        tell(f"disk full: {failed['error']}")
        assert "disk is full" in failed["error"]
        assert "are missing" in failed["error"]
        assert site.service.client.get("/readyz").json()["missing"] == ["artifact store"]
        filler.unlink()
        until(site.service.ready, 10, "the service is ready again")
        assert site.service.client.post(f"/training-jobs/{job}/resume").status_code == 202
        assert site.outcome(job) == undisturbed
        assert "passed over" not in "".join(site.logs()), "a checkpoint was not whole"
    finally:
        site.stop()


def test_a_disk_that_is_full_for_redis_as_well_costs_nothing_but_time(
    small_disk_for_all: Path, undisturbed: tuple[str, str], full: bool, tell: Callable[[str], None]
) -> None:
    site = start_site(small_disk_for_all, full, workers=1)
    try:
        job = site.submit("disk-full-for-all")
        site.saved(job, 2)
        filler = _fill(small_disk_for_all)
        until(lambda: not site.service.ready(), 30, "the service says that it is not ready")
        filler.unlink()
        begun = time.monotonic()
        until(site.service.ready, 30, "the service is ready again")
        tell(f"disk full for Redis as well: ready {time.monotonic() - begun:.1f} s after there was room")
        if site.job(job)["state"] == "failed":
            assert site.service.client.post(f"/training-jobs/{job}/resume").status_code == 202
        assert site.outcome(job) == undisturbed
    finally:
        site.stop()


def _flip_one_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(site: Site, undisturbed: tuple[str, str]) -> None:
    job = site.submit("damaged")
    site.saved(job, 2)
    for damage in (_flip_one_bit, _truncate, _empty):
        newest = _damage_newest(site, job, damage)
        until(lambda newest=newest: site.checkpoints(job)[-1].name > newest, 60, "the job comes past the damage")
    assert site.outcome(job) == undisturbed


def _damage_newest(site: Site, job: str, damage: Callable[[Path], None]) -> str:
    site.service.client.post(f"/training-jobs/{job}/cancel")
    until(lambda: not site.service.leased(job), 10, "its worker leaves the job")
    for pid in site.training_pids():  # what they keep in memory is whole
        site.end(pid)
    newest = site.checkpoints(job)[-1]
    damage(newest / "state.safetensors")
    assert site.service.client.post(f"/training-jobs/{job}/resume").status_code == 202
    until(lambda: f"checkpoint {newest.name} is passed over" in "".join(site.logs()), 30, "the damage is told of")
    return newest.name
