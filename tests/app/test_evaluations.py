"""Evaluations over HTTP, without a worker: what is refused, what is accepted, and their list."""

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services

BODY = {"dataset": "two", "per_type": [2, 6], "ratios": [0.5, 4], "repeats": 2}
CONFIG = {"total_steps": 30, "crop": {"around": "middle"}}


def publish(services: Services, name: str, classes: list[str], **card: Any) -> ModelVersion:
    with services.store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(b"weights")
        fields: dict[str, Any] = {"resolution": 32, "mode": "L", "preset": "dcgan", "config": CONFIG, **card}
        return services.registry.publish(
            name,
            staged,
            classes=classes,
            training_job=f"job-{name}",
            dataset_digest="digest",
            weights_sha256="weights",
            **fields,
        )


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"dataset": "nothing"}, "/dataset", "datasets: "),
    ({"dataset": "others"}, "/dataset", "no photographs of dents, pits"),
    ({"dataset": "colours"}, "/dataset", "mode RGB"),
    ({"per_type": [2, 7]}, "/per_type/1", "per_type is at most 6"),
    ({"per_type": [1]}, "/per_type/0", "greater than or equal to 2"),
    ({"per_type": []}, "/per_type", "at least 1"),
    ({"per_type": [2] * 9}, "/per_type", "at most 8"),
    ({"per_type": [3, 3]}, "/per_type", "twice"),
    ({"per_type": 3}, "/per_type", "list"),
    ({"ratios": [0]}, "/ratios/0", "greater than"),
    ({"ratios": [21]}, "/ratios/0", "less than"),
    ({"ratios": list(range(1, 10))}, "/ratios", "at most 8"),
    ({"repeats": 1}, "/repeats", "greater than or equal to 2"),
    ({"repeats": 51}, "/repeats", "less than"),
    ({"retrain": "no"}, "/retrain", "boolean"),
    ({"max_seconds": 0}, "/max_seconds", "greater than"),
    ({"seed": -1}, "/seed", "greater than"),
    ({"epochs": 3}, "/epochs", "unknown key"),
]
"""A change of the body, the JSON pointer of the error, and words of its detail."""


@pytest.fixture
def path(services: Services, api: TestClient) -> str:
    """The evaluations of a version of two types, for which the dataset `two` has 12 and 9 photographs."""
    files = {f"dents/{i}.png": photograph(i) for i in range(12)} | {
        f"pits/{i}.png": photograph(50 + i) for i in range(9)
    }
    assert api.post("/datasets", data={"name": "two"}, files={"archive": zipped(files)}).status_code == 201
    publish(services, "steel", ["dents", "pits"])
    return "/models/steel/versions/1/evaluations"


def test_a_job_with_its_whole_configuration_is_made(api: TestClient, path: str) -> None:
    answer = api.post(path, json={"dataset": "two", "per_type": [6]})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/evaluations/{job['id']}"
    assert job["id"].startswith("evaluation-")
    assert (job["state"], job["version"], job["result"]) == ("queued", "steel@1", None)
    config = job["config"]
    assert (config["ratios"], config["repeats"], config["retrain"], config["seed"]) == ([0.5, 1, 2, 4], 5, True, 0)
    assert config["held_out"] == {"dents": 4, "pits": 3}
    assert job["progress"]["total_steps"] == 5 * (30 + 7 * config["classifier_steps"])
    assert api.get(f"/evaluations/{job['id']}").json() == job


def test_the_calls_of_every_kind_work(api: TestClient, path: str) -> None:
    job = api.post(path, json=BODY).json()["id"]
    assert api.delete(f"/evaluations/{job}").status_code == 409
    assert api.delete("/datasets/" + api.get("/datasets/two").json()["id"]).status_code == 409
    assert api.post(f"/evaluations/{job}/cancel").status_code == 202
    assert api.post(f"/evaluations/{job}/cancel").status_code == 200
    assert api.post(f"/evaluations/{job}/resume").json()["state"] == "queued"
    assert api.post(f"/evaluations/{job}/cancel").status_code == 202
    assert api.delete(f"/evaluations/{job}").status_code == 204
    assert api.get(f"/evaluations/{job}").status_code == 404
    assert api.get(f"/training-jobs/{job}").status_code == 404


def test_a_version_lists_its_own_evaluations(api: TestClient, services: Services, path: str) -> None:
    publish(services, "other", ["dents"], config={**CONFIG, "total_steps": 5})
    mine = [api.post(path, json=BODY).json()["id"] for _ in range(3)]
    other = api.post("/models/other/versions/1/evaluations", json=BODY).json()["id"]
    first = api.get(f"{path}?limit=2").json()
    assert [each["id"] for each in first["items"]] == mine[:0:-1]
    second = api.get(f"{path}?limit=2&cursor={first['next_cursor']}").json()
    assert ([each["id"] for each in second["items"]], second["next_cursor"]) == (mine[:1], None)
    assert [each["id"] for each in api.get("/models/other/versions/1/evaluations").json()["items"]] == [other]
    assert [each["id"] for each in api.get("/evaluations").json()["items"]] == [other, *mine[::-1]]
    assert api.get("/models/steel/versions/7/evaluations").status_code == 404


def test_what_cannot_be_done_is_refused(api: TestClient, path: str) -> None:
    others = zipped({f"cracks/{i}.png": photograph(i) for i in range(2)})
    api.post("/datasets", data={"name": "others"}, files={"archive": others})
    colours = {f"{each}/{i}.png": photograph(i, mode="RGB") for each in ("dents", "pits") for i in range(2)}
    api.post("/datasets", data={"name": "colours"}, files={"archive": zipped(colours)})
    for change, pointer, words in REFUSED:
        answer = api.post(path, json={**BODY, **change})
        assert answer.status_code == 422, answer.text
        found = {each["pointer"]: each["detail"] for each in answer.json()["errors"]}
        assert words in found.get(pointer, ""), (change, found)
    assert api.get("/evaluations").json()["items"] == []


def test_more_images_than_a_worker_can_hold_are_refused(api: TestClient, services: Services, path: str) -> None:
    publish(services, "large", ["dents", "pits"], resolution=4096)
    answer = api.post("/models/large/versions/1/evaluations", json={**BODY, "ratios": [20]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/ratios"
    assert "can hold 16 generated images" in answer.json()["detail"]


def test_a_version_that_cannot_be_trained_again_can_be_sampled(api: TestClient, services: Services, path: str) -> None:
    cards: list[dict[str, Any]] = [{"preset": "gone"}, {"config": {}}, {"config": {**CONFIG, "init_from": "gone@1"}}]
    for number, card in enumerate(cards):
        publish(services, f"old{number}", ["dents", "pits"], **card)
        submit = f"/models/old{number}/versions/1/evaluations"
        answer = api.post(submit, json=BODY)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/retrain"
        assert "'retrain': false" in answer.json()["detail"]
        assert api.post(submit, json={**BODY, "retrain": False}).status_code == 202


def test_one_type_is_told_from_clean_photographs_where_there_are_some(
    api: TestClient, services: Services, path: str
) -> None:
    publish(services, "alone", ["dents"])
    files = {f"dents/{i}.png": photograph(i) for i in range(12)} | {
        f"good/{i}.png": photograph(i + 50) for i in range(6)
    }
    assert api.post("/datasets", data={"name": "clean"}, files={"archive": zipped(files)}).status_code == 201
    submit = "/models/alone/versions/1/evaluations"
    job = api.post(submit, json={**BODY, "dataset": "clean", "per_type": [4]}).json()
    assert (job["config"]["types"], job["config"]["not_measurable"]) == (["dents", "good"], None)
    answer = api.post(submit, json={**BODY, "dataset": "clean", "per_type": [5]})
    assert "6 photographs of 'good'" in answer.json()["detail"]

    job = api.post(submit, json={**BODY, "dataset": "two"}).json()
    assert "no clean photographs" in job["config"]["not_measurable"]
    assert job["progress"]["total_steps"] == 0
