"""Uploads that are unusual or made to cost much, over HTTP: the whole application in one process, without workers."""

import asyncio
import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import redis
from benchmarks import hostile_images
from PIL import Image
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped
from tests.core.store.test_archive_names import flagless
from tests.core.store.test_archives import v7
from tests.core.store.test_decoder_process import decoders
from tests.core.store.test_unusual_images import GRAY, PNG, bmp_32, chunk, close, png_16, tiff, twelve, with_chunk

from flawsmith.app.main import create_app
from flawsmith.core.settings import Settings


@pytest.fixture
def service(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Iterator[TestClient]:
    """A client of the whole application, on an artifact store of its own: the folder ``tmp_path``."""
    settings = Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock")
    with TestClient(create_app(settings), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


def upload(service: TestClient, name: str, archive: bytes) -> httpx2.Response:
    return service.post("/datasets", data={"name": name}, files={"archive": archive})


def pictures(store: Path, dataset: str) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in (store / "artifacts" / "datasets" / dataset / "images").iterdir()]


def test_names_of_windows_packers_become_folders_in_the_right_script(service: TestClient) -> None:
    backslashes = {f"pits\\{number}.png": photograph(100 + number) for number in range(2)}
    answer = upload(service, "backslashes", zipped({**backslashes, "pits\\@eaDir\\thumb.png": photograph(1)}))
    assert (answer.status_code, answer.json()["classes"], answer.json()["rejected"]) == (201, {"pits": 2}, [])
    japanese = flagless({f"スクラッチ\\傷{number}.png": photograph(110 + number) for number in range(2)}, "cp932")
    assert upload(service, "japanese", japanese).json()["classes"] == {"スクラッチ": 2}


def test_a_tar_of_7_zip_is_a_dataset(service: TestClient) -> None:
    answer = upload(service, "seven-zip", v7({f"pits/{number}.png": photograph(120 + number) for number in range(2)}))
    assert (answer.status_code, answer.json()["classes"]) == (201, {"pits": 2})


def test_12_bit_values_are_scaled_with_a_warning(service: TestClient, tmp_path: Path) -> None:
    dataset = upload(service, "twelve", zipped({"1.png": png_16(twelve(GRAY)), "2.tif": tiff(twelve(GRAY))})).json()
    assert "(12 bits) was taken for white" in " ".join(dataset["warnings"])
    assert all(close(pixels, GRAY) for pixels in pictures(tmp_path, dataset["id"]))


def test_sound_pixels_with_unusual_files_are_used(service: TestClient, tmp_path: Path) -> None:
    text = chunk(b"tEXt", b"Comment\0x", wrong=True)
    inverse = tiff(65535 - GRAY.astype(np.uint16) * 257, photometric="miniswhite")
    files = {"1.png": with_chunk(PNG, text), "2.bmp": bmp_32(0, 5), "3.tif": inverse}
    dataset = upload(service, "unusual", zipped(files)).json()
    assert (dataset["image_count"], dataset["rejected"]) == (3, [])
    assert min(pixels.mean() for pixels in pictures(tmp_path, dataset["id"])) > 100


def test_hostile_files_are_refused_and_do_not_hold_up_others(service: TestClient) -> None:
    usable = {f"{number}.png": photograph(130 + number) for number in range(2)}
    hostile = {"tile.tif": hostile_images.with_huge_tile(), "scans.jpg": hostile_images.with_many_scans(120, 2000)}
    begun = time.monotonic()
    dataset = upload(service, "hostile", zipped({**hostile, **usable})).json()
    assert {each["file"] for each in dataset["rejected"]} == set(hostile)
    assert dataset["image_count"] == 2
    assert time.monotonic() - begun < 30


def test_decoding_ends_when_the_client_leaves(service: TestClient) -> None:
    scans = hostile_images.with_many_scans()
    archive = zipped({f"{number}.jpg": scans for number in range(50)})
    body = (
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nleaving\r\n'
        b'--b\r\nContent-Disposition: form-data; name="archive"; filename="a.zip"\r\n\r\n' + archive + b"\r\n--b--\r\n"
    )
    begun = time.monotonic()

    async def leave_early() -> None:
        """Sends the whole body, and goes when a decoder runs."""
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            while not decoders():
                await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            pass

        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"multipart/form-data; boundary=b")]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/datasets", "raw_path": b"/datasets", "query_string": b"", "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        await service.app(scope, receive, send)

    assert service.portal
    service.portal.call(leave_early)
    assert time.monotonic() - begun < 14  # before `BASE_SECONDS` of decoding would end it
    assert decoders() == []
    assert service.get("/datasets/leaving").status_code == 404


def test_an_upload_that_takes_too_much_time_is_413(service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flawsmith.core.store.datasets.decoding_budget.BASE_SECONDS", 0.5)
    picture, archive = io.BytesIO(), io.BytesIO()
    Image.new("L", (7_000, 7_000)).save(picture, "PNG")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(400):
            file.writestr(f"{number}.png", picture.getvalue())
    begun = time.monotonic()
    answer = upload(service, "slow", archive.getvalue())
    assert answer.status_code == 413, answer.text
    assert "far more than their size deserves" in answer.json()["detail"]
    assert time.monotonic() - begun < 60
