"""Deleting a dataset takes the reference photographs of the versions along that were trained on it."""

from collections.abc import Callable

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.reference_photographs import FILE, ReferencePhotographs

NEAREST = "/generate?nearest=true"
JSON = {"Accept": "application/json"}


@pytest.fixture
def train(api: TestClient, services: Services) -> Callable[[str, str], ModelVersion]:
    """Publishes a version of a model as if a job had trained it on the dataset of this name."""

    def publish(model: str, dataset: str) -> ModelVersion:
        photographs = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1)).astype(np.uint8)
        files = [f"customer-{number}.png" for number in range(3)]
        with services.store.staged() as staged:
            (staged / "generator.safetensors").write_bytes(b"weights")
            references = ReferencePhotographs.of(photographs, np.zeros(3, np.int64), ["pits"], files)
            references.save(staged / FILE)
            return services.registry.publish(
                model,
                staged,
                classes=["pits"],
                resolution=32,
                mode="L",
                preset="dcgan",
                config={},
                training_job=f"job-{model}-{len(services.registry.versions(model))}",
                dataset_digest=services.datasets.get(dataset).digest,
                weights_sha256="weights",
            )

    return publish


def upload(api: TestClient, name: str, first: int = 0, **fields: str) -> None:
    files = {f"pits/{number}.png": photograph(number) for number in range(first, first + 3)}
    answer = api.post("/datasets", data={"name": name, **fields}, files={"archive": zipped(files)})
    assert answer.status_code in (200, 201), answer.text


def compares(api: TestClient, version: str) -> bool:
    """Whether the version has photographs to compare with. No worker is live, so that such a call ends with 503."""
    answer = api.post(NEAREST, json={"model": version, "seed": 1}, headers=JSON)
    assert answer.status_code in (409, 503), answer.text
    return answer.status_code == 503


def left_of_names(services: Services) -> list[str]:
    files = services.store.root.joinpath("models").rglob("*")
    return [str(each) for each in files if each.is_file() and b"c\0\0\0u\0\0\0s\0\0\0t\0\0\0o" in each.read_bytes()]


def test_a_dataset_says_which_versions_it_was_trained_on(api: TestClient, train: Callable[..., ModelVersion]) -> None:
    upload(api, "set")
    upload(api, "other", 10)
    train("steel", "set")
    train("steel", "set")
    train("iron", "set")
    train("steel", "other")
    listed = api.get("/datasets/set/versions").json()
    assert [f"{each['model']}@{each['version']}" for each in listed["items"]] == ["iron@1", "steel@2", "steel@1"]
    first = api.get("/datasets/set/versions?limit=2").json()
    rest = api.get("/datasets/set/versions", params={"cursor": first["next_cursor"]}).json()
    assert first["items"] + rest["items"] == listed["items"]
    assert api.get("/datasets/nowhere/versions").status_code == 404


def test_deleting_a_dataset_takes_pictures_and_names_along_and_says_of_which_versions(
    api: TestClient, services: Services, train: Callable[..., ModelVersion]
) -> None:
    upload(api, "set")
    upload(api, "other", 10)
    train("steel", "set")
    train("iron", "set")
    train("zinc", "other")
    assert all(compares(api, each) for each in ("steel@1", "iron@1", "zinc@1"))
    assert len(left_of_names(services)) == 3
    deleted = api.delete("/datasets/set")
    assert deleted.status_code == 204
    assert sorted(deleted.headers["x-affected-versions"].split(", ")) == ["iron@1", "steel@1"]
    assert [compares(api, each) for each in ("steel@1", "iron@1", "zinc@1")] == [False, False, True]
    assert len(left_of_names(services)) == 1
    assert api.get("/models/steel/versions/1").status_code == 200


def test_another_dataset_with_the_same_content_keeps_them(api: TestClient, train: Callable[..., ModelVersion]) -> None:
    upload(api, "set")
    upload(api, "twin")
    train("steel", "set")
    assert "x-affected-versions" not in api.delete("/datasets/set").headers
    assert compares(api, "steel@1")
    assert api.delete("/datasets/twin").headers["x-affected-versions"] == "steel@1"
    assert not compares(api, "steel@1")


def test_replacing_a_dataset_takes_them_along(api: TestClient, train: Callable[..., ModelVersion]) -> None:
    upload(api, "set")
    train("steel", "set")
    upload(api, "set", replace="true")  # the same content
    assert compares(api, "steel@1")
    upload(api, "set", 20, replace="true")
    assert not compares(api, "steel@1")


def test_the_header_stays_short(api: TestClient, train: Callable[..., ModelVersion]) -> None:
    upload(api, "set")
    for number in range(40):
        train(f"{number:02d}-" + "x" * 60, "set")
    assert api.delete("/datasets/set").headers["x-affected-versions"] == "40 versions"


def test_versions_keep_references_while_a_dataset_continues_theirs(
    api: TestClient, train: Callable[[str, str], ModelVersion]
) -> None:
    upload(api, "set")
    train("steel", "set")
    more = {"archive": zipped({"pits/more.png": photograph(99)})}
    assert api.post("/datasets/set/photographs", files=more).status_code == 201
    assert "x-affected-versions" not in api.delete("/datasets/set").headers
    assert compares(api, "steel@1")
    assert api.delete("/datasets/set-2").headers["x-affected-versions"] == "steel@1"
    assert not compares(api, "steel@1")
