"""POST /datasets/{id}/photographs, in one process with an embedded Redis and without workers."""

import io
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.conftest import SMALL_JOB, photograph, zipped
from tests.core.store import trees

from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset, UploadOptions

DENTS = {f"dents/{i}.png": photograph(i) for i in range(6)}
PITS = {f"pits/{i}.png": photograph(10 + i) for i in range(4)}
MORE = {f"dents/{i}.png": photograph(100 + i) for i in range(3)}


def upload(api: TestClient, name: str, files: dict[str, bytes], **fields: str) -> dict[str, Any]:
    answer = api.post("/datasets", data={"name": name, **fields}, files={"archive": zipped(files)})
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


def add(
    api: TestClient, parent: str, files: dict[str, bytes], headers: dict[str, str] | None = None, **fields: str
) -> httpx2.Response:
    path = f"/datasets/{parent}/photographs"
    return api.post(path, data=fields, files={"archive": zipped(files)}, headers=headers)


def pixels(services: Services, dataset: str) -> list[np.ndarray]:
    return [np.asarray(Image.open(each.path)) for each in services.datasets.photographs(dataset)]


def test_the_photographs_of_the_parent_come_first_in_their_order(api: TestClient, services: Services) -> None:
    parent = upload(api, "steel", {**DENTS, **PITS})
    answer = add(api, "steel", {**MORE, "pits/9.png": photograph(200)})
    assert answer.status_code == 201, answer.text
    child = answer.json()
    assert answer.headers["location"] == f"/datasets/{child['id']}"
    assert (child["name"], child["parent"], child["image_count"]) == ("steel-2", parent["id"], 14)
    assert child["classes"] == {"dents": 9, "pits": 5}
    assert child["layout"]["photographs"] == 14
    added = {"photographs": 4, "clean": 0, "copies": 0, "near_duplicate_count": 0, "near_duplicates": []}
    assert child["added"] == added
    assert api.get("/datasets/steel-2").json() == child and api.get("/datasets/steel").json() == parent
    before, after = pixels(services, parent["id"]), pixels(services, child["id"])
    assert all(np.array_equal(one, other) for one, other in zip(before, after[:10], strict=True))
    new = [each.file for each in services.datasets.photographs(child["id"])[10:]]
    assert new[:3] != [] and set(new) == {*MORE, "pits/9.png"}
    assert api.get(f"/datasets/{child['id']}/preview.png").status_code == 200


def test_the_same_photographs_again_give_the_same_dataset(api: TestClient) -> None:
    parent = upload(api, "steel", DENTS)
    first = add(api, "steel", MORE)
    assert [add(api, parent["id"], MORE).status_code for _ in range(2)] == [200, 200]
    assert add(api, "steel", MORE).json() == first.json()
    named = add(api, "steel", MORE, name="other")
    assert (named.status_code, named.json()["name"]) == (201, "other")
    assert named.json()["digest"] == first.json()["digest"]
    again = add(api, "steel", MORE, name="other")
    assert (again.status_code, again.json()) == (200, named.json())


def test_a_name_that_stands_for_other_content_is_refused_or_replaced(api: TestClient) -> None:
    upload(api, "steel", DENTS)
    other = upload(api, "other", PITS)
    refused = add(api, "steel", MORE, name="other")
    assert refused.status_code == 409 and other["id"] in refused.json()["detail"]
    replaced = add(api, "steel", MORE, name="other", replace="true")
    assert replaced.status_code == 201
    assert api.get("/datasets/other").json() == replaced.json()


def test_a_child_may_take_the_name_of_its_parent_and_keeps_its_photographs(api: TestClient, services: Services) -> None:
    parent = upload(api, "steel", DENTS)
    child = add(api, "steel", MORE, name="steel", replace="true").json()
    assert (child["name"], child["parent"], child["image_count"]) == ("steel", parent["id"], 9)
    assert api.get(f"/datasets/{parent['id']}").status_code == 404
    assert len(pixels(services, child["id"])) == 9


def test_copies_are_stored_once_and_said(api: TestClient, services: Services) -> None:
    upload(api, "steel", {**DENTS, **PITS})
    brighter = Image.open(io.BytesIO(DENTS["dents/2.png"])).point(lambda value: 20 + value * 0.8)
    near = io.BytesIO()
    brighter.save(near, "PNG")
    files = {
        "dents/copy.png": DENTS["dents/1.png"],
        "pits/dent.png": DENTS["dents/3.png"],
        "dents/brighter.png": near.getvalue(),
        "dents/new.png": photograph(50),
        "dents/new-again.png": photograph(50),
    }
    child = add(api, "steel", files).json()
    reasons = {each["file"]: each["reason"] for each in child["rejected"]}
    assert reasons.keys() >= {"dents/copy.png", "pits/dent.png"} and len(reasons) == 3
    assert "'dents/1.png' of dataset 'steel'" in reasons["dents/copy.png"]
    assert "of type 'dents'" in reasons["pits/dent.png"] and "'pits'" in reasons["pits/dent.png"]
    assert child["added"] == {
        "photographs": 2,
        "clean": 0,
        "copies": 3,
        "near_duplicate_count": 1,
        "near_duplicates": [{"file": "dents/brighter.png", "of": "dents/2.png"}],
    }
    assert any("near-duplicates" in each for each in child["layout"]["notes"])
    assert child["image_count"] == 12
    files = {path.read_bytes() for path in services.store.path("datasets", child["id"]).glob("images/*.png")}
    assert len(files) == 12


def test_nothing_new_is_refused_with_where_everything_is(api: TestClient) -> None:
    upload(api, "steel", DENTS)
    answer = add(api, "steel", DENTS)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:flawsmith:nothing-new" and "'steel'" in problem["detail"]
    assert len(problem["rejected"]) == 6
    assert len(api.get("/datasets").json()["items"]) == 1


def test_annotations_of_parent_and_addition_are_kept(api: TestClient, services: Services) -> None:
    upload(api, "bottle", trees.mvtec())
    before = [each.annotations for each in services.datasets.photographs("bottle")]
    before_clean = [each.annotations for each in services.datasets.clean_photographs("bottle")]
    spot = np.zeros((40, 40), np.uint8)
    spot[5:15, 10:14] = 255
    files = {
        "test/crack/90.png": photograph(900),
        "ground_truth/crack/90_mask.png": trees.encoded(spot),
        "train/good/91.png": photograph(901),
    }
    child = add(api, "bottle", files).json()
    layout = child["layout"]
    assert (layout["photographs"], layout["masks"], layout["clean"]) == (7, 7, 7)
    assert child["defects"]["crack"] == 4 and child["crop"] == "annotations"
    after = [each.annotations for each in services.datasets.photographs(child["id"])]
    assert after[: len(before)] == before
    assert after[-1].boxes == [(10, 5, 4, 10)]
    clean = [each.annotations for each in services.datasets.clean_photographs(child["id"])]
    assert clean[: len(before_clean)] == before_clean and [each.file for each in clean][-1] == "train/good/91.png"


def test_clean_photographs_alone_are_added_as_clean(api: TestClient) -> None:
    upload(api, "bottle", trees.mvtec())
    child = add(api, "bottle", {"good/1.png": photograph(950)}).json()
    assert (child["layout"]["clean"], child["image_count"], child["added"]["clean"]) == (7, 6, 1)


def test_single_images_are_of_the_parents_only_type(api: TestClient) -> None:
    upload(api, "steel", DENTS)
    files = [("images", ("a.png", photograph(300)))]
    child = api.post("/datasets/steel/photographs", files=files).json()
    assert child["classes"] == {"dents": 7}


def test_a_new_type_is_said(api: TestClient) -> None:
    upload(api, "steel", DENTS)
    child = add(api, "steel", PITS).json()
    assert any("'pits'" in each and "init_from" in each for each in child["layout"]["notes"])


def test_deleting_the_parent_leaves_the_child_whole(api: TestClient, services: Services) -> None:
    parent = upload(api, "steel", DENTS)
    child = add(api, "steel", MORE).json()
    before = pixels(services, child["id"])
    assert api.delete("/datasets/steel").status_code == 204
    assert api.get(f"/datasets/{child['id']}").json() == child
    assert child["parent"] == parent["id"]
    assert all(np.array_equal(one, other) for one, other in zip(before, pixels(services, child["id"]), strict=True))
    grandchild = add(api, child["id"], {"dents/x.png": photograph(500)})
    assert grandchild.status_code == 201, grandchild.text
    assert [each["photographs"] for each in grandchild.json()["lineage"]] == [6, 9]
    assert grandchild.json()["name"] == "steel-3"
    assert len(services.datasets.load(grandchild.json()["id"], 32).pixels) == 10


def test_the_idempotency_key_gives_the_first_answer_though_the_parent_is_gone(api: TestClient) -> None:
    upload(api, "steel", DENTS)
    key, body = {"Idempotency-Key": "more"}, zipped(MORE)
    files = {"archive": ("more.zip", body)}
    first = api.post("/datasets/steel/photographs", files=files, headers=key)
    assert api.delete("/datasets/steel").status_code == 204
    again = api.post("/datasets/steel/photographs", files=files, headers=key)
    assert (first.status_code, again.status_code) == (201, 201) and again.json() == first.json()
    other = api.post("/datasets/steel/photographs", files={"archive": zipped(PITS)}, headers=key)
    assert other.status_code == 422 and other.json()["type"] == "urn:flawsmith:key-reused"


@pytest.mark.parametrize(
    ("fields", "files", "status", "said"),
    [
        ({"name": "/"}, MORE, 422, "name"),
        ({"nmae": "x"}, MORE, 422, "unknown part"),
        ({"split": "holdout"}, MORE, 422, "split"),
        ({"layout": "coco"}, MORE, 422, "coco"),
        ({"replace": "perhaps"}, MORE, 422, "true"),
        ({}, {"dents/no.png": b"no"}, 422, "at least 1 is needed"),
        ({}, {}, 422, "at least 1 is needed"),
    ],
)
def test_the_refusals_are_those_of_an_upload(
    api: TestClient, fields: dict[str, str], files: dict[str, bytes], status: int, said: str
) -> None:
    upload(api, "steel", DENTS)
    answer = add(api, "steel", files, **fields)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    assert len(api.get("/datasets").json()["items"]) == 1


def test_an_unknown_parent_is_404_and_names_those_there_are(api: TestClient) -> None:
    upload(api, "steel", DENTS)
    answer = add(api, "iron", MORE)
    assert answer.status_code == 404 and "steel" in answer.json()["detail"]


def test_a_job_trains_on_the_child(api: TestClient) -> None:
    upload(api, "steel", DENTS)
    child = add(api, "steel", MORE).json()
    job = api.post("/training-jobs", json={"dataset": child["id"], "model": "m", **SMALL_JOB})
    assert job.status_code == 202 and job.json()["config"]["steps_per_epoch"] == 3


def test_nothing_is_left_behind_by_a_refused_addition(api: TestClient, services: Services, tmp_path: Path) -> None:
    upload(api, "steel", DENTS)
    add(api, "steel", DENTS)
    assert [each for each in services.store.staging.iterdir() if each.is_dir()] == []


@pytest.mark.parametrize("at", [1, 5, 12])
def test_a_parent_that_is_deleted_meanwhile_is_unknown_and_nothing_is_left(
    services: Services, tmp_path: Path, at: int
) -> None:
    for name, files in (("parent", DENTS), ("more", MORE)):
        (tmp_path / name).write_bytes(zipped(files))
    parent, _ = services.datasets.add_archive("steel", tmp_path / "parent")
    asked = itertools.count(1)

    def abandoned() -> bool:  # it is asked again and again
        if next(asked) == at:
            services.datasets.delete(parent.id)
        return False

    options = UploadOptions(abandoned=abandoned)
    with pytest.raises(UnknownDataset):
        services.datasets.continue_with_archive(parent.id, None, tmp_path / "more", options)
    assert services.datasets.list() == []
    assert next(asked) > at


def test_an_addition_that_ended_before_its_name_was_written_is_completed_by_a_repeated_call(
    api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(api, "steel", DENTS)
    with monkeypatch.context() as patched:
        patched.setattr(type(services.store), "write_json", broken)
        answer = add(api, "steel", MORE)
    assert answer.status_code == 503, answer.text
    again = add(api, "steel", MORE)
    assert (again.status_code, again.json()["name"]) == (201, "steel-2")
    assert api.get("/datasets/steel-2").json() == again.json()
    assert len(api.get("/datasets").json()["items"]) == 2


def broken(*_: Any) -> None:
    raise OSError("the disk is gone")


def test_two_additions_at_once_get_names_of_their_own(services: Services, tmp_path: Path) -> None:
    for name, files in (("parent", DENTS), ("one", MORE), ("other", {"dents/x.png": photograph(700)})):
        (tmp_path / name).write_bytes(zipped(files))
    parent, _ = services.datasets.add_archive("steel", tmp_path / "parent")
    with ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(services.datasets.continue_with_archive, parent.id, None, tmp_path / each)
            for each in ("one", "other", "one", "other")
        ]
        made = [each.result() for each in jobs]
    assert {each.name for each, _ in made} == {"steel-2", "steel-3"}
    assert sorted(created for _, created in made) == [False, False, True, True]
    assert {each.image_count for each in services.datasets.list()} == {6, 7, 9}


def test_a_long_name_leaves_room_for_the_number(api: TestClient) -> None:
    name = "s" * 64
    upload(api, name, DENTS)
    child = add(api, name, MORE).json()
    assert child["name"] == "s" * 62 + "-2"


def test_an_addition_may_be_as_large_as_an_upload(make_api: Callable[..., TestClient]) -> None:
    api = make_api(max_upload_bytes=4_000_000)
    upload(api, "steel", DENTS)
    large = {f"dents/large-{i}.png": photograph(600 + i, side=800) for i in range(4)}
    assert add(api, "steel", large).status_code == 201
    refused = add(api, "steel", {f"dents/huge-{i}.png": photograph(700 + i, side=800) for i in range(8)})
    assert refused.status_code == 413 and "4000000 bytes" in refused.json()["detail"]


def test_photographs_in_colour_beside_gray_ones_are_said(api: TestClient) -> None:
    upload(api, "steel", DENTS)
    child = add(api, "steel", {"dents/x.png": photograph(800, mode="RGB"), "dents/y.png": photograph(801)}).json()
    assert child["mode"] == "RGB"
    assert any(each.startswith("1 of the new photographs are in colour") for each in child["layout"]["notes"])
