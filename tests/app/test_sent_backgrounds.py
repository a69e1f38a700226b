"""A photograph in the body of POST /compositions, as the background: what is understood, and what is refused."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient
from tests.app.test_compositions import mask, of_a_size, upload
from tests.worker.compositions.material import defect_files, surface

from flawsmith.app import body_limit
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.live.job_repository import JobRepository
from flawsmith.core.services import Services
from flawsmith.core.store.background_image import background_file
from flawsmith.core.store.job_folder import JobFolder


@pytest.fixture(autouse=True)
def steel(api: TestClient) -> str:
    return upload(api, "steel", defect_files())


def file(pixels: NDArray[Any] | Image.Image, form: str = "PNG", **options: Any) -> str:
    """A photograph's file in base64."""
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, form, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def body(background: str, **more: Any) -> dict[str, Any]:
    return {"defects": "steel", "background": background, "count": 4, **more}


CLEAN = surface(5, 120)[:100]  # 120 wide, 100 high
COLOUR = np.stack([CLEAN, CLEAN // 2, CLEAN], 2)


def stored(services: Services, job: dict[str, Any]) -> NDArray[np.uint8]:
    return np.asarray(Image.open(background_file(JobFolder(services.store, job["id"]))))


def sent(api: TestClient, background: str, **more: Any) -> dict[str, Any]:
    answer = api.post("/compositions", json=body(background, **more))
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_photograph_is_kept_with_the_job(api: TestClient, services: Services) -> None:
    job = sent(api, file(CLEAN), region=[[10, 10], [90, 10], [50, 90]])
    assert job["background"] is None
    assert (job["config"]["image"]["size"], job["config"]["image"]["mode"]) == ([120, 100], "L")
    assert len(job["config"]["image"]["sha256"]) == 64
    assert (stored(services, job) == CLEAN).all()
    assert len(api.get(f"/compositions/{job['id']}").text) < 5000, "the record does not hold the photograph"
    folder = JobFolder(services.store, job["id"]).path
    assert api.post(f"/compositions/{job['id']}/cancel").status_code == 202
    assert api.delete(f"/compositions/{job['id']}").status_code == 204
    assert not folder.exists()


def oriented() -> str:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    return file(Image.fromarray(CLEAN), exif=exif.tobytes())


def transparent() -> str:
    alpha = np.full(CLEAN.shape, 255, np.uint8)
    alpha[:50] = 0
    return file(np.dstack([COLOUR, alpha]))


FORMS: dict[str, tuple[str, tuple[int, ...]]] = {
    "JPEG": (file(COLOUR, "JPEG"), (100, 120, 3)),
    "WebP": (file(COLOUR, "WEBP", lossless=True), (100, 120, 3)),
    "TIFF": (file(CLEAN, "TIFF"), (100, 120)),
    "BMP": (file(CLEAN, "BMP"), (100, 120)),
    "sixteen bits": (file(CLEAN.astype(np.uint16) * 256), (100, 120)),
    "a quarter turn in its EXIF": (oriented(), (120, 100)),
    "transparency": (transparent(), (100, 120, 3)),
    "equal channels": (file(np.stack([CLEAN] * 3, 2)), (100, 120)),
}


@pytest.mark.parametrize("form", FORMS)
def test_photographs_of_every_form_that_datasets_take(api: TestClient, services: Services, form: str) -> None:
    background, shape = FORMS[form]
    pixels = stored(services, sent(api, background))
    assert (pixels.shape, pixels.dtype) == (shape, np.uint8)
    if form == "sixteen bits":
        assert abs(pixels.astype(int) - CLEAN).max() <= 1
    if form == "transparency":
        assert not pixels[:50].any(), "what is transparent is black"


def animation() -> str:
    frames = [Image.fromarray(surface(each, 64)) for each in range(3)]
    return file(frames[0], "GIF", save_all=True, append_images=frames[1:])


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (body("x" * 65), "/background", "neither the id or name of a dataset, which has at most 64 characters, nor an"),
    (body("data:image/png;base64," + file(CLEAN)), "/background", "without line breaks and the prefix of a data URL"),
    (body(base64.b64encode(b"no picture at all" * 9).decode()), "/background", "not an image of an accepted format"),
    (body(file(CLEAN)[:-400]), "/background", "broken"),
    (body(of_a_size(60_000) + "AAAA" * 20), "/background", "too many pixels: 60000x60000"),
    (body(file(surface(3, 12))), "/background", "too small: 12x12"),
    (body(animation()), "/background", "an animation"),
    (body(file(CLEAN), split={"train": 0.5, "val": 0.5}), "/split", "in one split only"),
    (
        body(file(CLEAN), region=mask(128, 255)),
        "/region",
        "and a photograph of the background is 120 x 100",
    ),
    (body(file(CLEAN), region=[[200, 0], [300, 0], [300, 9]]), "/region", "outside of a photograph of 120 x 100"),
    (body(oriented(), region=mask(128, 255)), "/region", "100 x 120"),
    ({**body(file(CLEAN)), "defects": "nowhere"}, "/defects", "there is no dataset 'nowhere'"),
    (body(""), "/background", "at least 1 character"),
    (body(5), "/background", "valid string"),  # type: ignore[arg-type]
]
"""A body, the JSON pointer of the error, and words of its detail."""


@pytest.mark.parametrize(("given", "pointer", "words"), REFUSED, ids=[each[2][:30] for each in REFUSED])
def test_what_is_no_photograph_is_refused_with_the_reason(
    api: TestClient, services: Services, given: dict[str, Any], pointer: str, words: str
) -> None:
    answer = api.post("/compositions", json=given)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]
    assert not list(services.store.path("jobs").glob("*")), "nothing stays"


def test_a_body_may_be_larger_than_others_and_not_without_bound(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud = np.random.default_rng(0).integers(0, 256, (1300, 1000), np.uint8)
    assert len(file(loud)) > body_limit.MAX_JSON_BYTES
    assert sent(api, file(loud))["config"]["image"]["size"] == [1000, 1300]
    answer = api.post("/compositions", json=body("A" * 34 * 2**20))
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:flawsmith:too-large")
    answer = api.post("/exports", json={"composition": "A" * 2**20, "layout": "coco"})
    assert answer.status_code == 413


def test_the_same_key_makes_one_job(api: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again = (api.post("/compositions", json=body(file(CLEAN)), headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    other = api.post("/compositions", json=body(file(CLEAN[:90])), headers=headers)
    assert other.status_code == 422


def test_nothing_stays_of_a_job_that_was_not_made(
    api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(JobRepository, "create", broken)
        assert api.post("/compositions", json=body(file(CLEAN))).status_code == 503
    assert not list(services.store.path("jobs").glob("*"))
    assert services.jobs.counts()[JobState.QUEUED] == 0
