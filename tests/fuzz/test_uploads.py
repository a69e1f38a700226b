"""Pictures, archives and labels of all layouts, as strangers damage them, through POST /datasets."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from flawsmith.core.store.datasets import ingestion
from flawsmith.core.store.images import DecodedFile, DecoderProcess
from tests.conftest import zipped
from tests.fuzz.conftest import Fuzzing, check, megabytes
from tests.fuzz.damage import changed_png, damaged
from tests.fuzz.layouts import PHOTOGRAPHS, Files, archives, uploads

SECONDS = 120.0  # of each test at full length


class LastingDecoder(DecoderProcess):
    """One child for many uploads, which decodes whole photographs once: that takes longer than the rest of them."""

    child: ClassVar[Any] = None
    known: ClassVar[dict[bytes, DecodedFile]] = {}

    def decode(self, data: bytes, *options: Any, **more: Any) -> DecodedFile:
        if data not in PHOTOGRAPHS:
            return super().decode(data, *options, **more)
        if data not in self.known:
            self.known[data] = super().decode(data, *options, **more)
        return self.known[data]

    def _start(self) -> Any:
        if self.child is None or self.child.poll() is not None:
            LastingDecoder.child = super()._start()
        return self.child

    def __exit__(self, *_: Any) -> None:
        self._child = None


@pytest.fixture
def client(
    make_api: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[TestClient]:
    monkeypatch.setattr(ingestion, "DecoderProcess", LastingDecoder)
    yield make_api()
    if LastingDecoder.child:
        LastingDecoder.child.kill()
        LastingDecoder.child.wait()


def memory() -> float:
    """Of this process, in which the API runs, and of the decoder."""
    decoder = LastingDecoder.child
    return megabytes(os.getpid(), *([decoder.pid] if decoder and decoder.poll() is None else []))


def upload(client: TestClient, place: Path, fields: dict[str, str], **parts: Any) -> str:
    """Sends an upload; reads the dataset that it makes, if any, and deletes it."""
    answer = client.post("/datasets", data={"name": "set", **fields}, **parts)
    check(answer, place)
    assert answer.status_code in (201, 413, 415, 422), answer.text
    if answer.status_code == 201:
        made = answer.headers["location"]
        for path in (made, f"{made}/preview.png"):
            check(client.get(path), place)
        assert client.delete(made).status_code == 204
    return str(answer.status_code)


def test_labels_of_all_layouts(client: TestClient, tmp_path: Path, fuzz: Fuzzing) -> None:
    def send(example: tuple[dict[str, str], Files]) -> str:
        fields, files = example
        return upload(client, tmp_path, fields, files={"archive": zipped(files)})

    fuzz("labels of datasets", send, uploads(), count=40, seconds=SECONDS, memory=memory)


def test_archives(client: TestClient, tmp_path: Path, fuzz: Fuzzing) -> None:
    def send(archive: bytes) -> str:
        return upload(client, tmp_path, {}, files={"archive": archive})

    fuzz("archives", send, archives(), count=40, seconds=SECONDS / 2, memory=memory)


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    format, mode, options = draw(st.sampled_from(KINDS))
    buffer = io.BytesIO()
    Image.open(io.BytesIO(PHOTOGRAPHS[0])).convert(mode).save(buffer, format, **options)
    return draw((changed_png if format == "PNG" and draw(st.booleans()) else damaged)(buffer.getvalue()))


KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PNG", "L", {}), ("PNG", "RGBA", {}), ("PNG", "P", {"transparency": 3}), ("PNG", "I;16", {}),
    ("JPEG", "RGB", {}), ("JPEG", "L", {"progressive": True}), ("JPEG", "CMYK", {}), ("MPO", "RGB", {}),
    ("TIFF", "L", {}), ("TIFF", "RGB", {"compression": "tiff_lzw"}), ("TIFF", "I;16", {"compression": "tiff_deflate"}),
    ("TIFF", "1", {"compression": "group4"}), ("TIFF", "RGB", {"compression": "jpeg"}),
    ("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}), ("GIF", "P", {}), ("BMP", "RGB", {}), ("BMP", "P", {}),
)  # fmt: skip


def test_pictures(client: TestClient, tmp_path: Path, fuzz: Fuzzing) -> None:
    whole = [("images", (f"{number}.png", each, "image/png")) for number, each in enumerate(PHOTOGRAPHS[1:])]

    def send(picture: bytes) -> str:
        return upload(client, tmp_path, {}, files=[("images", ("x", picture, "image/png")), *whole])

    fuzz("pictures", send, pictures(), count=25, seconds=SECONDS, memory=memory)
