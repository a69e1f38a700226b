"""Limits on datasets, models, jobs and their bytes, over HTTP without workers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from tests.conftest import SMALL_JOB, photograph, zipped

from flawsmith.core.store import usage
from flawsmith.core.store.artifacts import ArtifactStore

MakeApi = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def measured_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MEASURED_SECONDS", 0.0)
    monkeypatch.setattr(usage, "FRESH_SECONDS", 0.0)


def upload(api: TestClient, name: str, first: int = 0, **fields: str) -> httpx2.Response:
    files = {f"pits/{number}.png": photograph(number) for number in range(first, first + 3)}
    return api.post("/datasets", data={"name": name, **fields}, files={"archive": zipped(files)})  # type: ignore[return-value]


def submit(api: TestClient, model: str, **headers: str) -> httpx2.Response:
    return api.post("/training-jobs", json={"dataset": "set", "model": model, **SMALL_JOB}, headers=headers)  # type: ignore[return-value]


def refused(answer: Any, *words: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:limit-reached"), answer.text
    assert all(word in answer.json()["detail"] for word in words), answer.text


def test_as_many_datasets_as_there_may_be(make_api: MakeApi) -> None:
    api = make_api(max_datasets=2)
    assert [upload(api, name, first).status_code for name, first in (("a", 0), ("b", 9))] == [201, 201]
    refused(upload(api, "c", 20), "there are 2 datasets and there may be 2", "delete some")
    assert upload(api, "a").status_code == 200  # it is there already
    assert upload(api, "a", 30, replace="true").status_code == 201  # in the place of another
    again = api.post("/datasets/a/photographs", data={}, files={"archive": zipped({"pits/x.png": photograph(77)})})
    refused(again, "2 datasets")
    assert api.delete("/datasets/b").status_code == 204
    assert upload(api, "c", 20).status_code == 201


def test_datasets_of_as_many_bytes_as_there_may_be(make_api: MakeApi) -> None:
    api = make_api(max_dataset_bytes=70_000)
    assert upload(api, "a").status_code == 201
    assert upload(api, "same-files").status_code == 201  # stored once
    refused(upload(api, "b", 9, replace="true"), "bytes of at most 70000", "this needs")
    assert "b" not in {each["name"] for each in api.get("/datasets").json()["items"]}


def test_a_refused_replacement_keeps_what_was_there(make_api: MakeApi) -> None:
    api = make_api(max_dataset_bytes=50_000)
    before = upload(api, "a").json()
    many = {f"pits/{number}.png": photograph(number, 64) for number in range(30)}
    refused(api.post("/datasets", data={"name": "a", "replace": "true"}, files={"archive": zipped(many)}), "bytes")
    assert api.get("/datasets/a").json() == before


def test_as_many_models_as_there_may_be_with_those_of_queued_jobs(make_api: MakeApi) -> None:
    api = make_api(max_models=2)
    upload(api, "set")
    assert [submit(api, name).status_code for name in ("one", "two", "one")] == [202] * 3
    refused(submit(api, "three"), "there are 2 models and there may be 2", "delete versions")


def test_as_many_jobs_as_there_may_be(make_api: MakeApi) -> None:
    api = make_api(max_jobs=2)
    upload(api, "set")
    jobs = [submit(api, "one", **{"Idempotency-Key": key}).json()["id"] for key in "ab"]
    refused(submit(api, "one"), "there are 2 jobs", "have ended")
    assert submit(api, "one", **{"Idempotency-Key": "b"}).json()["id"] == jobs[1]  # the first call's answer
    api.post(f"/training-jobs/{jobs[0]}/cancel")
    assert api.post(f"/training-jobs/{jobs[0]}/resume").status_code == 202  # it has its place
    api.post(f"/training-jobs/{jobs[0]}/cancel")
    assert api.delete(f"/training-jobs/{jobs[0]}").status_code == 204
    assert submit(api, "one").status_code == 202


def test_jobs_and_models_of_as_many_bytes_as_there_may_be(make_api: MakeApi, version: Any) -> None:
    refused(_trained(make_api(max_model_bytes=100)), "the models take", "of at most 100")
    api = make_api(max_job_bytes=10)
    upload(api, "set")
    assert submit(api, "one").status_code == 202
    refused(submit(api, "one"), "the jobs take", "of at most 10", "have ended")


def _trained(api: TestClient) -> httpx2.Response:
    upload(api, "set")
    return submit(api, "one")


def test_calls_at_once_do_not_exceed_a_limit_together(make_api: MakeApi) -> None:
    api = make_api(max_jobs=3, max_models=3)
    upload(api, "set")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: submit(api, f"model-{number}").status_code, range(8)))
    assert sorted(answers) == [202] * 3 + [409] * 5


def test_without_limits_nothing_is_measured(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArtifactStore, "bytes_below", None)
    api = make_api()
    assert upload(api, "set").status_code == 201
    assert submit(api, "one").status_code == 202
