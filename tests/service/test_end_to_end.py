"""From photographs to images over HTTP, with every process real."""

import base64
import io
import json
import re
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from tests.conftest import Service, photograph, until, zipped

from flawsmith.core.domain.addresses import FIRST_OWN_SEED
from flawsmith.core.live import keys


def generate(service: Service, accept: str = "*/*", **body: Any) -> httpx2.Response:
    answer = service.client.post("/generate", json={"model": "two-types@1", **body}, headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    return answer


def test_the_same_upload_again_is_the_same_dataset(service: Service) -> None:
    archive = zipped({"dents/1.png": photograph(901), "dents/2.png": photograph(902), "dents/no.png": b"no"})
    first, second = service.upload("once", archive), service.upload("once", archive)
    assert (first.status_code, second.status_code) == (201, 200)
    dataset = first.json()
    assert second.json() == dataset
    assert first.headers["location"] == f"/datasets/{dataset['id']}"
    assert dataset["classes"] == {"dents": 2}
    assert [each["file"] for each in dataset["rejected"]] == ["dents/no.png"]
    assert service.client.get("/datasets/once").json() == dataset
    assert dataset in service.client.get("/datasets").json()["items"]
    preview = Image.open(io.BytesIO(service.client.get(f"/datasets/{dataset['id']}/preview.png").content))
    assert preview.width > 150
    assert service.client.delete(f"/datasets/{dataset['id']}").status_code == 204
    assert service.client.get(f"/datasets/{dataset['id']}").status_code == 404


def test_single_images_become_a_dataset_of_one_defect_type(service: Service) -> None:
    files = [("images", (f"{i}.png", photograph(950 + i))) for i in range(3)]
    answer = service.client.post("/datasets", data={"name": "pits"}, files=files)
    assert answer.status_code == 201
    assert answer.json()["classes"] == {"pits": 3}


def test_a_finished_job_has_its_configuration_times_history_and_samples(
    service: Service, trained: dict[str, Any]
) -> None:
    assert trained["produced"] == "two-types@1"
    assert trained["progress"]["step"] == trained["progress"]["total_steps"] == 6
    assert trained["progress"]["images_per_second"] > 0
    config = trained["config"]
    assert (config["latent_size"], config["generator_depth"], config["batch_size"]) == (100, 4, 4)
    times = [trained[name] for name in ("created_at", "started_at", "finished_at")]
    assert times == sorted(times)
    assert all(datetime.fromisoformat(each) and each.endswith("Z") for each in times)
    assert [each["state"] for each in trained["transitions"]] == ["queued", "running", "succeeded"], trained
    path = f"/training-jobs/{trained['id']}"
    history = service.client.get(f"{path}/history").json()
    assert history["steps"] == [1, 2, 3, 4, 5, 6]
    assert len(history["series"]["discriminator_loss"]) == 6
    latest, last = (service.client.get(f"{path}/samples/{name}.png").content for name in ("latest", "6"))
    assert latest == last
    assert Image.open(io.BytesIO(latest)).size == (8 * 34 - 2, 2 * 34 - 2)


def test_events_replay_the_whole_job_and_resume_after_last_event_id(service: Service, trained: dict[str, Any]) -> None:
    path = f"/training-jobs/{trained['id']}/events"
    whole = service.client.get(path)
    assert whole.headers["content-type"].startswith("text/event-stream")
    kinds = re.findall(r"^event: (\w+)$", whole.text, re.M)
    assert set(kinds) == {"state", "samples", "progress"}
    assert json.loads(re.findall(r"^data: (.*)$", whole.text, re.M)[-1])["state"] == "succeeded"
    ids = re.findall(r"^id: (\S+)$", whole.text, re.M)
    rest = service.client.get(path, headers={"Last-Event-ID": ids[2]})
    assert re.findall(r"^id: (\S+)$", rest.text, re.M) == ids[3:]


def test_a_model_has_versions_a_card_and_weights(service: Service, trained: dict[str, Any]) -> None:
    model = service.client.get("/models/two-types").json()
    assert (model["versions"], model["aliases"]) == ([1], {})
    card = service.client.get("/models/two-types/versions/1").json()
    assert card["classes"] == ["dents", "scratches"]
    assert (card["resolution"], card["mode"], card["training_job"]) == (32, "L", trained["id"])
    assert (card["verdict"], card["overrides"]) == (trained["verdict"], [])
    job = service.client.get(f"/training-jobs/{trained['id']}").json()
    assert job["served_by_name"] is (model["serves"] == 1)
    weights = service.client.get("/models/two-types/versions/1/weights.safetensors").content
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    assert "layers.0.weight" in header


def test_an_alias_names_a_version_and_protects_it(service: Service, trained: dict[str, Any]) -> None:
    path = "/models/two-types/aliases/staging"
    assert service.client.put(path, json={"version": 1}).json()["aliases"] == {"staging": 1}
    assert generate(service, model="two-types@staging", seed=1).headers["x-model"] == "two-types@1"
    assert service.client.delete("/models/two-types/versions/1").status_code == 409
    assert service.client.put(path, json={"version": 9}).status_code == 404
    assert service.client.delete(path).status_code == 204
    assert service.client.delete(path).status_code == 404


def test_a_png_and_its_headers_name_its_address_and_say_that_it_is_synthetic(
    service: Service, trained: dict[str, Any]
) -> None:
    answer = generate(service, "image/png", defect_type="dents")
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.size, picture.mode) == ((32, 32), "L")
    seed = int(answer.headers["x-seed"])
    assert seed >= FIRST_OWN_SEED
    assert (answer.headers["x-model"], answer.headers["x-defect-type"]) == ("two-types@1", "dents")
    assert picture.text["Synthetic"] == "true"
    assert (picture.text["Model"], picture.text["Defect-Type"], picture.text["Seed"]) == (
        "two-types@1",
        "dents",
        str(seed),
    )


def test_an_address_is_the_same_bytes_alone_in_a_batch_and_by_its_url(
    service: Service, trained: dict[str, Any]
) -> None:
    batch = zipfile.ZipFile(io.BytesIO(generate(service, count=200, seed=100).content))
    for seed, kind in ((100, "dents"), (117, "scratches"), (299, "scratches")):
        png = batch.read(f"{kind}/{seed}.png")
        assert generate(service, "image/png", seed=seed).content == png
        assert generate(service, "image/png", seed=seed, defect_type=kind).content == png
        url = f"/models/two-types/versions/1/images/{seed}.png"
        by_url = service.client.get(url)
        assert by_url.content == png
        assert by_url.headers["cache-control"] == "public, max-age=31536000, immutable"
        again = service.client.get(url, headers={"If-None-Match": by_url.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_a_zip_has_a_folder_for_each_type_and_a_manifest(service: Service, trained: dict[str, Any]) -> None:
    answer = generate(service, count=64)
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    manifest = json.loads(archive.read("manifest.json"))
    files = [each["file"] for each in manifest["images"]]
    assert (manifest["model"], manifest["synthetic"]) == ("two-types@1", True)
    assert sorted(archive.namelist()) == sorted(["manifest.json", *files])
    assert len({archive.read(file) for file in files}) == 64
    assert sum(file.startswith("dents/") for file in files) == 32


def test_json_has_addresses_and_data(service: Service, trained: dict[str, Any]) -> None:
    body = generate(service, "application/json", count=3, seed=7).json()
    assert body["model"] == "two-types@1"
    assert [(each["seed"], each["defect_type"]) for each in body["images"]] == [
        (7, "scratches"),
        (8, "dents"),
        (9, "scratches"),
    ]
    for each in body["images"]:
        assert service.client.get(each["url"]).content == base64.b64decode(each["data"])
    bare = service.client.post(
        "/generate?data=false", json={"model": "two-types@1", "count": 2}, headers={"Accept": "application/json"}
    )
    assert [each.keys() for each in bare.json()["images"]] == [{"seed", "defect_type", "url"}] * 2


def test_an_array_has_the_pixels_of_the_pngs(service: Service, trained: dict[str, Any]) -> None:
    answer = generate(service, "application/x-npy", count=5, seed=20)
    array = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert (array.shape, array.dtype) == ((5, 32, 32), np.uint8)
    assert answer.headers["x-seeds"] == "dents:20,22,24;scratches:21,23"
    png = generate(service, "image/png", seed=22).content
    assert np.array_equal(array[2], np.asarray(Image.open(io.BytesIO(png))))


@pytest.mark.parametrize(("format", "kind"), [("jpeg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_format_wins_over_accept(service: Service, trained: dict[str, Any], format: str, kind: str) -> None:
    answer = generate(service, "application/json", format=format)
    assert answer.headers["content-type"] == f"image/{format}"
    assert Image.open(io.BytesIO(answer.content)).format == kind


def test_images_without_a_seed_are_new_and_can_be_requested_again_by_their_seed(
    service: Service, trained: dict[str, Any]
) -> None:
    answers = [generate(service, "image/png") for _ in range(6)]
    assert len({answer.content for answer in answers}) == 6
    assert [answer.headers["x-defect-type"] for answer in answers].count("dents") == 3
    one = answers[3].headers
    again = generate(service, "image/png", seed=int(one["x-seed"]), defect_type=one["x-defect-type"])
    assert again.content == answers[3].content


def test_a_new_version_is_served_without_a_restart(service: Service) -> None:
    service.upload("growing", zipped({f"{i}.png": photograph(700 + i) for i in range(4)}))
    assert service.train("growing", "growing", seed=1)["produced"] == "growing@1"
    first = generate(service, "image/png", model="growing@1", seed=1)
    assert service.train("growing", "growing", seed=2)["produced"] == "growing@2"
    second = generate(service, "image/png", model="growing@2", seed=1)
    assert (first.headers["x-model"], second.headers["x-model"]) == ("growing@1", "growing@2")
    assert generate(service, "image/png", model="growing@1", seed=1).content == first.content != second.content


def test_a_job_that_succeeded_keeps_its_history_and_samples_without_checkpoints_until_it_is_deleted(
    service: Service,
) -> None:
    service.upload("short-lived", zipped({f"{i}.png": photograph(850 + i) for i in range(4)}))
    job = service.train("short-lived", "short-lived")
    path, folder = f"/training-jobs/{job['id']}", service.data_dir / "artifacts" / "jobs" / job["id"]
    until(lambda: not list(folder.rglob("state.safetensors")), 10, "its checkpoints are removed")
    service.redis.delete(keys.job_history(job["id"]))  # as a day later
    history = service.client.get(f"{path}/history").json()
    assert history["steps"] == list(range(1, 7))
    assert service.client.get(path).json()["checkpoint_step"] is None
    assert service.client.get(f"{path}/samples/latest.png").status_code == 200
    assert service.client.delete(path).status_code == 204
    for gone in (path, f"{path}/history", f"{path}/samples/latest.png"):
        assert service.client.get(gone).status_code == 404
    assert service.client.delete(path).status_code == 404
    assert not folder.exists()
    assert generate(service, model="short-lived@1", seed=1).status_code == 200


def test_an_unfinished_job_is_not_deleted(service: Service) -> None:
    service.upload("kept", zipped({f"{i}.png": photograph(870 + i) for i in range(4)}))
    body = {"dataset": "kept", "model": "kept", "resolution": 32, "steps": 100_000, "overrides": {"batch_size": 2}}
    path = f"/training-jobs/{service.client.post('/training-jobs', json=body).json()['id']}"
    refused = service.client.delete(path)
    assert refused.status_code == 409
    assert "cancel it first" in refused.json()["detail"]
    service.client.post(f"{path}/cancel")
    assert service.client.delete(path).status_code == 204
    assert service.client.get(path).status_code == 404


def test_a_running_job_is_cancelled_and_resumed(service: Service) -> None:
    service.upload("long", zipped({f"{i}.png": photograph(800 + i) for i in range(4)}))
    body = {"dataset": "long", "model": "long", "resolution": 32, "steps": 100_000, "overrides": {"batch_size": 2}}
    job = service.client.post("/training-jobs", json=body).json()
    path = f"/training-jobs/{job['id']}"
    until(lambda: service.client.get(path).json()["progress"]["step"] > 0, 30, "the job trains")
    assert service.client.delete("/datasets/long").status_code == 409
    assert service.client.post(f"{path}/cancel").status_code == 202
    assert service.client.get(path).json()["state"] == "cancelled"
    again = service.client.post(f"{path}/cancel")
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")
    checkpoints = service.data_dir / "artifacts" / "jobs" / job["id"] / "checkpoints"
    until(lambda: list(checkpoints.glob("*/checkpoint.json")), 10, "the cancelled job has a checkpoint")
    step = service.client.get(path).json()["progress"]["step"]
    assert service.client.post(f"{path}/resume").status_code == 202
    until(lambda: service.client.get(path).json()["progress"]["step"] > step, 30, "the job trains on")
    service.client.post(f"{path}/cancel")
    assert service.ended(job["id"])["state"] == "cancelled"


def test_the_api_loads_no_torch_and_stays_under_150_mib(service: Service, trained: dict[str, Any]) -> None:
    api = service.pid("api")
    assert api is not None
    assert "torch" not in Path(f"/proc/{api}/maps").read_text()
    resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{api}/status").read_text())[1])  # type: ignore[index]
    assert resident < 150 * 1024  # KiB


def test_metrics_count_requests_jobs_and_images(service: Service, trained: dict[str, Any]) -> None:
    generate(service)
    text = service.client.get("/metrics").text
    assert re.search(r'flawsmith_http_requests_total\{method="POST",route="/generate",status="200"\} \d', text)
    assert re.search(r'flawsmith_jobs\{kind="training",state="succeeded"\} [1-9]', text)
    assert 'flawsmith_http_request_seconds_bucket{le="0.01"' in text
    found = {}
    for target in service.client.get("/metrics/targets").json():
        found[target["labels"]["queue"]] = httpx2.get(f"http://{target['targets'][0]}/metrics", timeout=60).text
    assert re.search(r"flawsmith_images_trained_total [1-9]", found["train"])
    assert re.search(r'flawsmith_images_generated_total\{model="two-types",purpose="request"\} [1-9]', found["sample"])


def test_a_request_id_is_returned_and_logged_by_the_worker(service: Service, trained: dict[str, Any]) -> None:
    service.upload("traced", zipped({f"{i}.png": photograph(500 + i) for i in range(2)}))
    body = {
        "dataset": "traced",
        "model": "traced",
        "preset": "dcgan",
        "resolution": 32,
        "steps": 1,
        "overrides": {"generator_depth": 1, "discriminator_depth": 1},
    }
    answer = service.client.post("/training-jobs", json=body, headers={"X-Request-ID": "trace-me-1"})
    assert answer.headers["x-request-id"] == "trace-me-1"
    service.ended(answer.json()["id"])
    lines = [line for line in service.log.read_text().splitlines() if "[trace-me-1]" in line]
    assert {line.split("|")[0].strip() for line in lines} == {"api", "train"}
    assert service.client.get("/healthz").headers["x-request-id"]


def test_the_pages_of_each_list_join_to_the_whole_list(service: Service, trained: dict[str, Any]) -> None:
    for path in ("/datasets", "/training-jobs", "/models"):
        whole = service.client.get(path, params={"limit": 500}).json()["items"]
        pages, cursor = [], None
        while True:
            page = service.client.get(path, params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
            pages += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert pages == whole
        assert len(whole) >= 1


def test_calls_with_the_same_idempotency_key_run_once(service: Service, trained: dict[str, Any]) -> None:
    body = {"dataset": "two-types", "model": "two-types", "resolution": 32, "steps": 10**6}
    key = {"Idempotency-Key": "job-key"}
    first, second = (service.client.post("/training-jobs", json=body, headers=key) for _ in range(2))
    assert second.status_code == 202
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]
    other = service.client.post("/training-jobs", json={**body, "seed": 1}, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:flawsmith:key-reused")
    service.client.post(f"{first.headers['location']}/cancel")
    key = {"Idempotency-Key": "image-key", "Accept": "image/png"}
    one, same = (service.client.post("/generate", json={"model": "two-types@1"}, headers=key) for _ in range(2))
    assert same.headers["x-seed"] == one.headers["x-seed"]
    assert same.content == one.content
