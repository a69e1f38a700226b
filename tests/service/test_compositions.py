"""Compositions through the real API and worker: an archive to read, one whose worker is killed, and an export of it."""

import base64
import hashlib
import io
import json
import os
import re
import signal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import Service, until, zipped
from tests.labelled_versions import marked, publish_lively
from tests.service.shell import Shell
from tests.worker.compositions.material import clean_files, defect_files, png, surface

from flawsmith import Client
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry

COUNT = 250  # some seconds: several parts


@pytest.fixture(scope="module")
def composing(service: Service) -> Service:
    """A service with photographs of annotated defects and clean ones."""
    for name, files in (("annotated", defect_files()), ("clean-parts", clean_files())):
        answer = service.upload(name, zipped(files))
        assert answer.status_code == 201, answer.text
    return service


def submit(service: Service, path: str = "/compositions", **body: Any) -> str:
    if path == "/compositions":
        body = {"defects": "annotated", "background": "clean-parts", **body}
    answer = service.client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


def ended(service: Service, path: str) -> dict[str, Any]:
    job = service.job_ended(path, 120)
    assert job["state"] == "succeeded", job
    return job


def opened(service: Service, job: dict[str, Any]) -> zipfile.ZipFile:
    answer = service.client.get(job["archive"])
    assert hashlib.sha256(answer.content).hexdigest() == job["result"]["sha256"]
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return archive


def parts(service: Service, path: str) -> list[Path]:
    return list(service.data_dir.glob(f"artifacts/jobs/{path.rpartition('/')[2]}/checkpoints/*"))


@pytest.fixture(scope="module")
def undisturbed(composing: Service) -> dict[str, Any]:
    """The record of a job that nothing disturbed."""
    return ended(composing, submit(composing, count=COUNT))


def test_the_archive_holds_images_masks_and_boxes(composing: Service) -> None:
    path = submit(composing, count=6, per_image=[2, 2], seed=4, split={"train": 0.5, "val": 0.5})
    job = ended(composing, path)
    assert job["progress"]["step"] == job["progress"]["total_steps"] == job["result"]["images"] == 6
    assert (job["archive"], sum(job["result"]["defects"].values())) == (f"{path}/archive", 12)
    archive = opened(composing, job)
    manifest = json.loads(archive.read("manifest.json"))
    assert [each["seed"] for each in manifest["images"]] == list(range(4, 10))
    for each in manifest["images"]:
        assert each["synthetic"] is True
        image = archive.read(each["file"])
        assert b"digitalsourcetype/compositeCapture" in image
        assert Image.open(io.BytesIO(image)).size == (128, 128)
        numbers = np.asarray(Image.open(io.BytesIO(archive.read(each["mask"]))))
        assert len(each["defects"]) == len(each["composition"]["parts"]) == 2
        for number, defect in enumerate(each["defects"], 1):
            rows, columns = np.nonzero(numbers == number)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert defect["box"] == box
    until(lambda: parts(composing, path) == [], 10, "the parts beside the archive are removed")


def test_the_client_and_the_shell_compose_the_same(composing: Service, tmp_path: Path) -> None:
    files = clean_files()
    (tmp_path / "clean.png").write_bytes(next(iter(files.values())))
    corners = [(8.0, 8.0), (120.0, 8.0), (120.0, 120.0), (8.0, 120.0)]
    with Client(str(composing.client.base_url)) as client:
        job = client.compose(tmp_path / "clean.png", 2, defects="annotated", region=corners, per_image=(1, 1), seed=3)
        ours = client.download(client.wait(job), tmp_path).read_bytes()
    words = ["compose", "clean.png", "--defects", "annotated", "--count", "2", "--seed", "3", "--per-image", "1..1"]
    region = " ".join(f"{x:g},{y:g}" for x, y in corners)
    done = Shell(composing, tmp_path).run(*words, "--region", region, "--out", "shell.zip")
    assert done.stdout == "shell.zip\n"
    assert (tmp_path / "shell.zip").read_bytes() == ours


def test_a_killed_worker_leaves_the_same_bytes(composing: Service, undisturbed: dict[str, Any]) -> None:
    path = submit(composing, count=COUNT)
    until(lambda: parts(composing, path), 60, "a part is published")
    os.kill(until(lambda: composing.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)
    job = ended(composing, path)
    assert job["result"] == undisturbed["result"]
    log = composing.log.read_text()
    begun = [int(each) for each in re.findall(rf"job {job['id']}: claim \S+, from step (\d+)", log)]
    assert begun[0] == 0 < begun[-1], "it began anew after the kill"


def test_a_cancelled_job_resumes_where_it_was(composing: Service, undisturbed: dict[str, Any]) -> None:
    path = submit(composing, count=COUNT)
    until(lambda: composing.client.get(path).json()["progress"]["step"] > 0, 60, "it makes images")
    assert composing.client.post(f"{path}/cancel").status_code == 202
    until(lambda: not composing.has_lease(path.rpartition("/")[2]), 20, "the worker leaves it")
    assert composing.client.get(f"{path}/archive").status_code == 404
    assert composing.client.post(f"{path}/resume").status_code == 202
    events = composing.client.get(f"{path}/events").text
    assert re.findall(r'"state": "(\w+)"', events)[-1] == "succeeded"
    assert composing.client.get(path).json()["result"] == undisturbed["result"]


def test_an_export_of_it_has_the_same_images(composing: Service, undisturbed: dict[str, Any]) -> None:
    job = ended(composing, submit(composing, "/exports", composition=undisturbed["id"], layout="yolo", count=40))
    assert job["result"]["images"] == 40
    source, exported = opened(composing, undisturbed), opened(composing, job)
    images = json.loads(exported.read("manifest.json"))["images"]
    for each, original in zip(images, json.loads(source.read("manifest.json"))["images"][:40], strict=True):
        assert exported.read(each["file"]) == source.read(original["file"])
        assert exported.read(each["labels"]).count(b"\n") >= len(each["defects"])
    assert composing.client.delete(f"/compositions/{undisturbed['id']}").status_code == 204


@pytest.fixture(scope="module")
def glossy(composing: Service) -> str:
    """A version with masks: a person painted the bright places of twelve images of another one."""
    publish_lively(Registry(ArtifactStore(composing.data_dir / "artifacts")), "shiny")
    answer = composing.client.post(
        "/generate", json={"model": "shiny@1", "seed": 0, "count": 12}, headers={"Accept": "application/json"}
    )
    masks = []
    for each in answer.json()["images"]:
        bright = marked(np.asarray(Image.open(io.BytesIO(base64.b64decode(each["data"]))))[..., None])
        painted = base64.b64encode(png(bright.astype(np.uint8) * 255)).decode()
        masks.append({"seed": each["seed"], "defect_type": each["defect_type"], "mask": painted})
    answer = composing.client.post("/models/shiny/versions/1/labels", json={"masks": masks})
    return str(ended(composing, answer.headers["location"])["produced"])


def test_generated_defects_are_those_of_their_addresses(composing: Service, glossy: str) -> None:
    body = {"model": glossy, "defects": None, "seed": 250, "per_image": [2, 2]}
    jobs = [ended(composing, submit(composing, count=count, **body)) for count in (12, 3)]
    assert [each["config"]["source"] for each in jobs] == ["generated", "generated"]
    archives = [opened(composing, each) for each in jobs]
    images = [json.loads(each.read("manifest.json"))["images"] for each in archives]
    for few, many in zip(images[1], images[0], strict=False):
        assert archives[1].read(few["file"]) == archives[0].read(many["file"])
    for each in images[0]:
        assert b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in archives[0].read(each["file"])
        for part in each["composition"]["parts"]:
            image = Image.open(io.BytesIO(composing.client.get(part["url"]).content))
            assert (image.info["Model"], image.info["Seed"]) == (glossy, str(part["seed"]))
            mask = np.asarray(
                Image.open(io.BytesIO(composing.client.get(part["url"].replace(".png", "/mask.png")).content))
            )
            left, top, width, height = part["box"]
            assert mask[top : top + height, left : left + width].any()
    withdrawn = images[1][0]["composition"]["parts"][0]["url"]
    assert composing.client.request("DELETE", withdrawn).status_code == 204
    assert composing.client.get(jobs[1]["archive"]).status_code == 410


def test_a_killed_worker_leaves_the_same_bytes_of_generated_defects_on_a_sent_image(
    composing: Service, glossy: str
) -> None:
    background = base64.b64encode(png(surface(501, 128))).decode()
    body = {"model": glossy, "defects": None, "background": background, "count": 400}
    whole = ended(composing, submit(composing, **body))
    path = submit(composing, **body)
    until(lambda: parts(composing, path), 60, "a part is published")
    os.kill(until(lambda: composing.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)
    job = ended(composing, path)
    assert job["result"] == whole["result"]
    assert job["config"]["image"] == whole["config"]["image"]
    begun = [
        int(each) for each in re.findall(rf"job {job['id']}: claim \S+, from step (\d+)", composing.log.read_text())
    ]
    assert begun[0] == 0 < begun[-1], "it began anew after the kill"
