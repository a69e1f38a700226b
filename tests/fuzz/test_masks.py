"""Masks and backgrounds in the bodies of calls, as strangers damage them."""

import base64
import io
import os
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from flawsmith.core.services import Services
from tests.bundled_versions import dcgan
from tests.conftest import photograph, zipped
from tests.fuzz.conftest import Fuzzing, check, megabytes
from tests.fuzz.damage import changed_png
from tests.labelled_versions import SIDE

SECONDS = 60.0  # at full length


def _mask(side: int, mode: str) -> bytes:
    picture, buffer = Image.new("L", (side, side)), io.BytesIO()
    picture.paste(255, (4, 4, side // 2, side // 2))
    picture.convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A path, and a body with a picture in base64."""
    path = draw(st.sampled_from(("/compositions", "/models/steel/versions/1/labels")))
    side = SIDE if path != "/compositions" else 64
    png = draw(st.sampled_from(MODES).flatmap(lambda mode: changed_png(_mask(side, mode))))
    text = base64.b64encode(png).decode()
    text = draw(st.sampled_from((text, text, text, text[:-1], "é" + text, "data:image/png;base64," + text)))
    if path != "/compositions":
        return path, {"masks": [{"seed": 1, "mask": text}]}
    return path, {"defects": "set", "background": "set", "count": 1, "region": text}


def test_masks(api: TestClient, services: Services, tmp_path: Path, fuzz: Fuzzing) -> None:
    dcgan(services.registry, "steel")
    files = {f"good/{number}.png": photograph(number, 64) for number in range(2)}
    files |= {"pits/1.png": photograph(9, 64), "pits/2.png": photograph(8, 64), "masks/pits/1.png": _mask(64, "L")}
    made = api.post("/datasets", data={"name": "set"}, files={"archive": zipped(files)})
    assert made.status_code == 201, made.text

    def send(example: tuple[str, dict[str, Any]]) -> str:
        path, body = example
        answer = api.post(path, json=body)
        check(answer, tmp_path)
        if answer.status_code == 202:
            job = answer.headers["location"]
            assert api.post(f"{job}/cancel").status_code == 202
            assert api.delete(job).status_code == 204
        return str(answer.status_code)

    fuzz("masks", send, bodies(), count=40, seconds=SECONDS, memory=lambda: megabytes(os.getpid()))
