"""Invalid requests over HTTP: every answer is a problem that says what would be right."""

import io
import json
import tarfile
import zipfile
from typing import Any

import httpx2
import pytest
from tests.conftest import Service, photograph, zipped


def refused(answer: httpx2.Response, status: int, *words: str) -> dict[str, Any]:
    """Checks that the answer is a problem of this status whose detail has these words; returns the problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem.keys() >= {"type", "title", "status", "detail", "instance"}
    assert problem["status"] == status
    assert "Traceback" not in answer.text
    assert "/artifacts" not in answer.text
    for word in words:
        assert word in problem["detail"]
    if status == 422:
        assert all(each.keys() == {"pointer", "detail"} for each in problem["errors"])
    return problem


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({}, "/model", "required"),
        ({"model": "two-types@1", "cuont": 1}, "/cuont", "unknown key; the known keys are model, count"),
        ({"model": "two-types@1", "count": "1"}, "/count", "integer"),
        ({"model": "two-types@1", "count": True}, "/count", "integer"),
        ({"model": "two-types@1", "count": 0}, "/count", "greater than or equal to 1"),
        ({"model": "two-types@1", "count": 257}, "/count", "at most 256"),
        ({"model": "two-types@1", "seed": 2**53}, "/seed", "less than"),
        ({"model": "two-types@1", "seed": 2**53 - 1, "count": 2}, "/seed", "at most"),
        ({"model": "two-types@1", "seed": -1}, "/seed", "greater than or equal to 0"),
        ({"model": "two-types@1", "defect_type": "rust"}, "/defect_type", "this model knows: dents, scratches"),
        ({"model": "two-types@1", "format": "gif"}, "/format", "'png', 'jpeg', 'webp', 'zip', 'json', 'npy' or 'npz'"),
        ({"model": "two-types@1", "deadline_seconds": 0}, "/deadline_seconds", "greater than 0"),
    ],
)
def test_an_invalid_value_of_a_generate_body_is_422_with_its_json_pointer(
    service: Service, trained: dict[str, Any], body: dict[str, Any], pointer: str, words: str
) -> None:
    problem = refused(service.client.post("/generate", json=body), 422, words)
    assert [each["pointer"] for each in problem["errors"]] == [pointer]


def test_too_many_images_are_told_as_a_number_too(service: Service, trained: dict[str, Any]) -> None:
    answer = service.client.post("/generate", json={"model": "two-types@1", "count": 257})
    assert refused(answer, 422, "at most 256")["most_images"] == 256


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"dataset": "nowhere"}, "/dataset", "there is no dataset 'nowhere'; datasets: "),
        ({"model": "a b"}, "/model", "a name has 1 to 64 letters"),
        ({"preset": "stylegan"}, "/preset", "the presets are: dcgan, fewshot, paste"),
        ({"resolution": 100}, "/resolution", "32, 64, 128, 256"),
        ({"resolution": 0}, "/resolution", "32, 64, 128, 256"),
        ({"epochs": 1, "steps": 1}, "", "give one of them"),
        ({"steps": 0}, "/steps", "greater than or equal to 1"),
        ({"steps": 1.5}, "/steps", "integer"),
        ({"overrides": {"depth": 3}}, "/overrides/depth", "unknown key; the known keys are latent_size"),
        ({"overrides": {"batch_size": "many"}}, "/overrides/batch_size", "integer"),
        ({"overrides": {"beta1": 1}}, "/overrides/beta1", "less than 1"),
        ({"seed": 10**400}, "/seed", "less than or equal to 9007199254740991"),
    ],
)
def test_a_job_that_cannot_train_is_422_and_is_not_queued(
    service: Service, trained: dict[str, Any], change: dict[str, Any], pointer: str, words: str
) -> None:
    before = service.client.get("/training-jobs").json()["items"][0]["id"]
    answer = service.client.post(
        "/training-jobs", json={"dataset": "two-types", "model": "m", "preset": "dcgan", **change}
    )
    problem = refused(answer, 422, words)
    assert [each["pointer"] for each in problem["errors"]] == [pointer]
    assert service.client.get("/training-jobs").json()["items"][0]["id"] == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"[" * 10_000, 400),
        (b'{"model": NaN}', 422),
        (b"\xff\xfe", 400),
        (b'{"model": "\\ud800"}', 422),
        (b"null", 422),
        (b"[]", 422),
    ],
)
def test_a_body_that_is_not_a_json_object_is_400_or_422(service: Service, body: bytes, status: int) -> None:
    for path in ("/generate", "/training-jobs"):
        refused(service.client.post(path, content=body, headers={"Content-Type": "application/json"}), status)


def test_a_body_of_another_media_type_is_415_and_a_large_one_413(service: Service) -> None:
    for path in ("/generate", "/training-jobs"):
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            answer = service.client.post(path, content=b"model=x", headers={"Content-Type": kind})
            refused(answer, 415, "application/json")
        large = json.dumps({"model": "x" * 2_000_000}).encode()
        answer = service.client.post(path, content=large, headers={"Content-Type": "application/json"})
        refused(answer, 413, "at most 1048576 bytes")


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/datasets/nowhere",
        "/datasets/..%2f..%2fetc",
        "/datasets/nowhere/preview.png",
        "/training-jobs/nowhere",
        "/training-jobs/nowhere/history",
        "/training-jobs/nowhere/events",
        "/training-jobs/nowhere/samples/latest.png",
        "/models/nowhere",
        "/models/nowhere/versions/1",
        "/models/%00/versions/1",
        "/models/two-types/versions/7",
        "/models/two-types/versions/one",
        "/models/two-types/versions/7/images/1.png",
    ],
)
def test_an_unknown_path_or_name_is_404(service: Service, trained: dict[str, Any], path: str) -> None:
    refused(service.client.get(path), 404)


def test_404_of_a_model_or_version_lists_the_known_ones(service: Service, trained: dict[str, Any]) -> None:
    refused(service.client.post("/generate", json={"model": "dents"}), 404, "no model 'dents'", "two-types")
    refused(service.client.post("/generate", json={"model": "two-types@9"}), 404, "its versions: 1")


def test_406_lists_what_can_be_served(service: Service, trained: dict[str, Any]) -> None:
    for accept, count, words in (
        ("text/html", 1, "image/png"),
        ("image/png", 2, "application/zip"),
        ("image/png;q=0", 1, "image/png"),
    ):
        body = {"model": "two-types@1", "count": count}
        refused(service.client.post("/generate", json=body, headers={"Accept": accept}), 406, words)


def test_405_lists_the_methods_in_the_allow_header(service: Service) -> None:
    answer = service.client.put("/generate")
    refused(answer, 405)
    assert answer.headers["allow"] == "POST"


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.bmp", bytes(60_000_000))
    return buffer.getvalue()


def tar_of_links() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, kind in (("a.png", tarfile.SYMTYPE), ("b.png", tarfile.CHRTYPE), ("../c.png", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return buffer.getvalue()


GOOD = zipped({"1.png": photograph(1), "2.png": photograph(2)})


@pytest.mark.parametrize(
    ("archive", "status", "words"),
    [
        (b"", 415, "neither zip, tar nor tar.gz"),
        (b"<html>", 415, "neither zip, tar nor tar.gz"),
        (photograph(), 415, "single 'images'"),
        (GOOD[:-30], 422, "cut short"),
        (bomb(), 413, "100 times"),
        (zipped({}), 422, "0 usable images; at least 2"),
        (zipped({"1.png": photograph(1)}), 422, "1 usable images; at least 2"),
        (zipped({"../1.png": photograph(1), "/2.png": photograph(2)}), 422, "leads out of the archive"),
        (tar_of_links(), 422, "link, a device"),
        (zipped({"a.zip": GOOD, "b.png": GOOD}), 422, "an archive within the archive"),
    ],
)
def test_an_unusable_archive_is_refused_and_leaves_nothing_on_disk(
    service: Service, archive: bytes, status: int, words: str
) -> None:
    artifacts = service.data_dir / "artifacts"
    kinds = ("datasets", "dataset-names", "staging")
    before = [sorted(artifacts.glob(f"{kind}/*")) for kind in kinds]
    refused(service.upload("bad", archive), status, words)
    assert [sorted(artifacts.glob(f"{kind}/*")) for kind in kinds] == before


def test_a_malformed_upload_is_refused(service: Service) -> None:
    post = service.client.post
    refused(post("/datasets", json={"name": "x"}), 415, "multipart/form-data")
    refused(post("/datasets", data={"name": "a/b"}, files={"archive": GOOD}), 422, "1 to 64 letters")
    refused(post("/datasets", files={"archive": GOOD}), 422, "1 to 64 letters")
    refused(post("/datasets", files={"name": (None, "x")}), 422, "one 'archive'")
    refused(post("/datasets", data={"name": "x"}, files={"archive": GOOD, "images": GOOD}), 422, "one 'archive'")
    refused(post("/datasets", data={"name": "x"}, files={"archiv": GOOD}), 422, "unknown part")
    refused(post("/datasets", files={"name": (None, "x"), "archive": (None, "y" * 5000)}), 422, "needs a file name")
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    refused(post("/datasets", content=b"--b\r\nnonsense", headers=headers), 400, "malformed or cut short")
    refused(post("/datasets", content=b"", headers={"Content-Type": "multipart/form-data"}), 415, "multipart")
