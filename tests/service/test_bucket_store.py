"""A service whose artifact store is in a bucket: the main job, and another machine that takes over with empty disks."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped
from tests.s3_server import BUCKET, ENVIRONMENT, s3_server


def test_a_model_is_trained_served_exported_and_served_again_by_a_machine_with_empty_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as address:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": address}.items():
            monkeypatch.setenv(name, value)
        store = f"s3://{BUCKET}/site"
        first = start_service(tmp_path / "first", artifact_store=store)
        try:
            found = _main_job(first)
            assert not (first.data_dir / "artifacts").exists()
            log = first.log.read_text()
            assert not [each for each in ENVIRONMENT.values() if each.startswith("a-") and each in log]
        finally:
            stop_service(first)
        second = start_service(tmp_path / "second", artifact_store=store)
        try:
            assert _served(second) == found
        finally:
            stop_service(second)


def _main_job(service: Service) -> dict[str, str]:
    """Uploads, trains, exports; returns what is served then."""
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "scratches") for i in range(5)}
    assert service.upload("two-types", zipped(files)).status_code == 201
    assert service.upload("twin", zipped(files)).status_code == 201
    job = service.train("two-types", "two-types")
    assert job["state"] == "succeeded", job
    client = service.client
    override = {"version": 1, "override": "a test"}
    assert client.put("/models/two-types/aliases/production", json=override).status_code == 200
    images = client.post("/generate", json={"model": "two-types", "count": 8}).raise_for_status().content
    assert len(zipfile.ZipFile(io.BytesIO(images)).namelist()) == 9
    export = client.post("/exports", json={"model": "two-types@1", "count": 30}).headers["location"]
    ended = service.job_ended(export, 60)
    assert ended["state"] == "succeeded", ended
    assert client.delete("/datasets/twin").status_code == 204
    return _served(service)


def _served(service: Service) -> dict[str, str]:
    """The digest of every kind of answer that comes from the store."""
    client = service.client
    jobs = until(lambda: client.get("/training-jobs").json()["items"], 20, "the records are back")
    export = client.get("/exports").json()["items"][0]
    archive = client.get(export["archive"]).raise_for_status()
    part = client.get(export["archive"], headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, archive.content[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(archive.content)}"
    assert hashlib.sha256(archive.content).hexdigest() == export["result"]["sha256"]
    assert client.head(export["archive"]).headers["content-length"] == str(len(archive.content))
    beyond = client.get(export["archive"], headers={"Range": "bytes=99999999-"})
    assert (beyond.status_code, beyond.headers["content-type"]) == (416, "application/problem+json")
    paths = [
        "/models/two-types",
        "/models/two-types/versions/1",
        "/models/two-types/versions/1/weights.safetensors",
        "/models/two-types/versions/1/images/7.png?defect_type=dents",
        "/datasets/two-types",
        "/datasets/two-types/preview.png",
        f"/training-jobs/{jobs[0]['id']}/history",
        f"/training-jobs/{jobs[0]['id']}/samples/latest.png",
    ]
    found = {path: client.get(path).raise_for_status().content for path in paths}
    return {path: hashlib.sha256(each).hexdigest() for path, each in {**found, "archive": archive.content}.items()}
