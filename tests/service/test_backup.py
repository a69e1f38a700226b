"""A site is backed up while it trains, and restored into an empty one, which goes on where the backup was made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.commands import flawsmith
from tests.conftest import SMALL_JOB, Service, start_service, stop_service, until

LONG = {**SMALL_JOB, "steps": 100_000}


@pytest.fixture
def backed_up(service: Service, trained: dict[str, Any], tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A backup that was made in the middle of a job, and the job's id."""
    body = {"dataset": "two-types", "model": "backed-up", **LONG}
    job = service.client.post("/training-jobs", json=body, headers={"Idempotency-Key": "backup"}).json()["id"]
    path = f"/training-jobs/{job}"
    try:
        until(lambda: service.client.get(path).json()["checkpoint_step"], 60, "the job saves a checkpoint")
        done = flawsmith("backup", "site.tar", cwd=tmp_path, data_dir=str(service.data_dir))
        assert done.returncode == 0 and "site.tar" in done.stdout, done.stderr
    finally:
        service.client.post(f"{path}/cancel")
    yield tmp_path / "site.tar", job
    service.client.delete(path)


def test_a_restored_site_serves_and_trains_on(
    service: Service, trained: dict[str, Any], backed_up: tuple[Path, str], tmp_path: Path
) -> None:
    (_, job), place = backed_up, "/models/two-types/versions/1/images/5.png?defect_type=dents"
    image, card = service.client.get(place).content, service.client.get("/models/two-types/versions/1").json()
    record = service.client.get(f"/training-jobs/{trained['id']}").json()  # with what other tests noted on it
    refused = flawsmith("restore", "site.tar", cwd=tmp_path, data_dir=str(service.data_dir))
    assert refused.returncode == 1 and "not empty" in refused.stderr

    done = flawsmith("restore", "site.tar", cwd=tmp_path, data_dir=str(tmp_path / "restored"))
    assert done.returncode == 0 and "restored the site" in done.stdout, done.stderr
    restored = start_service(tmp_path / "restored")
    try:
        assert restored.client.get("/models/two-types/versions/1").json() == card
        assert restored.client.get(place).content == image
        assert restored.client.get(f"/training-jobs/{trained['id']}").json() == record
        found = restored.client.get(f"/training-jobs/{job}").json()
        assert found["state"] in ("queued", "running") and found["checkpoint_step"]
        body = {"dataset": "two-types", "model": "backed-up", **LONG}
        repeated = restored.client.post("/training-jobs", json=body, headers={"Idempotency-Key": "backup"})
        assert repeated.json()["id"] == job
        step = found["progress"]["step"]
        until(lambda: restored.client.get(f"/training-jobs/{job}").json()["progress"]["step"] > step, 60, "it goes on")
        assert restored.client.post(f"/training-jobs/{job}/cancel").status_code == 202
    finally:
        stop_service(restored)
