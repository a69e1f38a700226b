"""The preset for few photographs over HTTP: refusals, data warnings, and what a job and its version report."""

import io
import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

from flawsmith.core.store.reference_photographs import FILE, ReferencePhotographs

SMALL = {
    "preset": "fewshot",
    "resolution": 32,
    "steps": 8,
    "overrides": {"latent_size": 8, "generator_width": 2, "discriminator_width": 4, "batch_size": 4},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = start_service(tmp_path_factory.mktemp("fewshot"), segment_seconds="1")
    uneven = {f"dents/{number}.png": photograph(number) for number in range(52)}
    service.upload("set", zipped(uneven | {f"scratches/{number}.png": photograph(100 + number) for number in range(2)}))
    yield service
    stop_service(service)


@pytest.fixture(scope="module")
def trained(site: Service) -> dict[str, Any]:
    answer = site.client.post("/training-jobs", json={"dataset": "set", "model": "both", **SMALL})
    assert answer.status_code == 202, answer.text
    return site.ended(answer.json()["id"])


def plain(gray: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 40), gray).save(buffer, "PNG")
    return buffer.getvalue()


def long(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((40, 4000), 20 + number).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_job_reports_its_signals_and_data_warnings(site: Service, trained: dict[str, Any]) -> None:
    assert trained["state"] == "succeeded", trained
    assert trained["health"]["state"] in ("warning", "failing")  # eight steps on noise
    reasons = " ".join(trained["health"]["reasons"])
    assert "2 photographs of 'scratches'" in reasons
    assert "beside 52 of 'dents'" in reasons
    series = site.client.get(f"/training-jobs/{trained['id']}/history").json()["series"]
    assert {
        "sign_rate",
        "real_penalty",
        "distance",
        "diversity",
        "near_duplicates",
        "memorization_rate",
        "overfitting_r_v",
    } <= set(series)
    assert all(each is not None for each in series["distance"])


def test_the_card_has_health_and_the_symmetries_used(site: Service, trained: dict[str, Any]) -> None:
    card = site.client.get("/models/both/versions/1").json()
    assert card["preset"] == "fewshot"
    assert card["health"]["state"] == trained["health"]["state"]
    symmetries = card["analysis"]["augmentation"]
    assert set(symmetries) == {"dents", "scratches"}
    assert symmetries["scratches"]["transposition"] == {"used": False, "p_value": None}
    assert 0 < symmetries["dents"]["horizontal_flip"]["p_value"] <= 1


def test_images_of_every_type_have_addresses(site: Service, trained: dict[str, Any]) -> None:
    for defect_type in ("dents", "scratches"):
        body = {"model": "both@1", "defect_type": defect_type, "seed": 7}
        first, again = (site.client.post("/generate", json=body, headers={"Accept": "image/png"}) for _ in range(2))
        assert first.status_code == 200, first.text
        assert first.content == again.content
        assert Image.open(io.BytesIO(first.content)).size == (32, 32)


def test_signals_are_metrics(site: Service, trained: dict[str, Any]) -> None:
    targets = [each for group in site.client.get("/metrics/targets").json() for each in group["targets"]]
    metrics = "".join(httpx2.get(f"http://{target}/metrics", timeout=60).text for target in targets)
    assert 'flawsmith_training_signal{signal="diversity"}' in metrics


def test_killed_and_resumed_it_gives_the_same_weights(site: Service, trained: dict[str, Any]) -> None:
    def weights(model: str, kills: int) -> str:
        body = {"dataset": "set", "model": model, **SMALL, "steps": 400, "deterministic": True}
        job, saved, killed = site.client.post("/training-jobs", json=body).json()["id"], 0, 0
        while killed < kills and (saved := until(lambda: saved_step(job, saved) or over(job), 60, "a checkpoint")) > 0:
            os.kill(until(lambda: site.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)
            killed += 1
        ended = site.ended(job)
        assert ended["state"] == "succeeded"
        assert 1 <= ended["attempts"] <= killed + 1  # killed between two segments, it costs none
        assert killed or not kills
        return str(site.client.get(f"/models/{model}/versions/1").json()["weights_sha256"])

    def saved_step(job: str, before: int) -> int:
        """The step of a later checkpoint, once the job is past it; else 0."""
        record = site.client.get(f"/training-jobs/{job}").json()
        step = record["checkpoint_step"] or 0
        return step if before < step < record["progress"]["step"] else 0

    def over(job: str) -> int:
        """-1 for a job that has ended, before a second kill; else 0."""
        return -1 if site.client.get(f"/training-jobs/{job}").json()["state"] == "succeeded" else 0

    assert weights("undisturbed", kills=0) == weights("killed", kills=2)


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [
        ("gray", {f"{number}.png": plain(90 + number % 3) for number in range(60)}, "none of which shows anything"),
        ("copies", {f"{number}.png": photograph(1) for number in range(30)}, "all of which show the same"),
    ],
)
def test_photographs_without_content_or_variety_are_refused(
    site: Service, name: str, files: dict[str, bytes], words: str
) -> None:
    dataset = site.upload(name, zipped(files)).json()
    assert dataset["warnings"]
    answer = site.client.post("/training-jobs", json={"dataset": name, "model": "m", **SMALL})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/dataset"
    assert words in answer.json()["errors"][0]["detail"]


def test_photographs_far_longer_than_wide_are_cut_into_squares_with_a_warning_of_what_is_lost(site: Service) -> None:
    site.upload("long", zipped({f"{number}.png": long(number) for number in range(4)}))
    job = site.client.post("/training-jobs", json={"dataset": "long", "model": "long", **SMALL}).json()
    assert job["health"]["state"] == "warning"
    assert job["config"]["crop"] == {"around": "grid"}
    assert any("the crop 'grid' loses 68%" in each and "'pad'" in each for each in job["health"]["reasons"])
    assert site.ended(job["id"])["state"] == "succeeded"


def test_the_twin_of_a_held_out_photograph_is_not_trained_on(site: Service) -> None:
    parts = {f"part-{number}.png": photograph(200 + number) for number in range(60)}
    darker = {name.replace(".", "-darker."): exposed(data, 0.6, 20) for name, data in parts.items()}
    site.upload("twins", zipped(parts | darker))
    trained_on = trained_photographs(site, "twins")
    known = [name in trained_on for name in parts]
    assert known == [name in trained_on for name in darker]
    assert known.count(False) == 6  # a tenth


def test_no_square_of_a_held_out_photograph_is_trained_on(site: Service) -> None:
    site.upload("strips", zipped({f"{number}.png": strip(number) for number in range(30)}))
    squares = trained_photographs(site, "strips")
    assert set(squares.values()) == {3}
    assert len(squares) == 27


def exposed(picture: bytes, gain: float, offset: float) -> bytes:
    """The same picture at another exposure."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture)).point(lambda value: gain * value + offset).save(buffer, "PNG")
    return buffer.getvalue()


def strip(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 107), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def trained_photographs(site: Service, dataset: str) -> Counter[str]:
    """Trains on the dataset; how many squares of each photograph were trained on.

    No answer lists them all: `nearest` names one of them for each image, from the file that is read here.
    """
    job = site.ended(
        site.client.post("/training-jobs", json={"dataset": dataset, "model": dataset, **SMALL}).json()["id"]
    )
    assert job["state"] == "succeeded", job
    body = {"model": f"{dataset}@1", "count": 64, "seed": 0}
    answer = site.client.post("/generate?nearest=true&data=false", json=body, headers={"Accept": "application/json"})
    folder = site.data_dir / "artifacts" / "models" / dataset / "versions" / "1"
    trained_on = Counter(ReferencePhotographs.load(folder / FILE).files)
    assert {each["nearest"]["file"] for each in answer.json()["images"]} <= trained_on.keys()
    return trained_on


def trained_on(site: Service, model: str, version: int) -> set[str]:
    """The files of the photographs that a version was trained on; those held out are not among them."""
    folder = site.data_dir / "artifacts" / "models" / model / "versions" / str(version)
    return set(ReferencePhotographs.load(folder / FILE).files)


def test_held_out_photographs_stay_held_out_when_more_photographs_come(site: Service) -> None:
    files = {f"dents/{number}.png": photograph(2000 + number) for number in range(60)}
    parent = site.upload("first", zipped(files)).json()
    first = site.ended(
        site.client.post("/training-jobs", json={"dataset": "first", "model": "grown", **SMALL}).json()["id"]
    )
    assert first["produced"] == "grown@1", first
    spared = files.keys() - trained_on(site, "grown", 1)
    assert len(spared) == 10

    again = io.BytesIO()
    Image.open(io.BytesIO(files[min(spared)])).point(lambda value: 30 + value * 0.8).save(again, "PNG")
    more = {f"dents/new-{number}.png": photograph(3000 + number) for number in range(40)}
    more |= {"dents/exposed-again.png": again.getvalue(), "dents/copy.png": files["dents/0.png"]}
    answer = site.client.post("/datasets/first/photographs", files={"archive": zipped(more)})
    assert answer.status_code == 201, answer.text
    child = answer.json()
    assert (child["parent"], child["image_count"], child["added"]["copies"]) == (parent["id"], 101, 1)
    assert child["added"]["near_duplicates"] == [{"file": "dents/exposed-again.png", "of": min(spared)}]

    body = {"dataset": child["id"], "model": "grown", "init_from": "grown@1", "steps": 30, "seed": 7}
    accepted = site.client.post("/training-jobs", json=body)
    assert accepted.status_code == 202, accepted.text
    assert any("grown@1 was judged with" in each for each in accepted.json()["notes"])
    path = f"/training-jobs/{accepted.json()['id']}"
    until(lambda: site.client.get(path).json()["progress"]["step"] > 0, 60, "it trains")
    worker = site.pid("worker", "train")
    assert worker
    os.kill(worker, signal.SIGKILL)
    assert site.client.delete("/datasets/first").status_code == 204
    second = site.ended(accepted.json()["id"])
    assert second["produced"] == "grown@2", second
    known = trained_on(site, "grown", 2)
    assert known.isdisjoint(spared) and "dents/exposed-again.png" not in known
    assert files.keys() - spared < known  # the version that it continues has seen them: they are no holdout
    assert len(known) == 90
