"""Bundles, and the cards, weights and arrays in them, as strangers change them, through POST /models/import."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from starlette.testclient import TestClient

from flawsmith.core.services import Services
from tests.app.bundles import bundle, send
from tests.app.test_wrong_bundles import rezipped
from tests.bundled_versions import KINDS
from tests.fuzz.conftest import Fuzzing, check, megabytes
from tests.fuzz.damage import changed_json, damaged

SECONDS = 90.0  # at full length
PARTS = ("", "/report", "/report.html", "/evaluations", "/quality-floor", "/bundle", "/weights.safetensors")
SHAPES = ((), (0,), (1,), (3, 2), (6, 8, 8, 1), (2**40,), (0, 8, 8, 1), (6, 1, 9, 3))
TYPES = ("int16", "float64", "U9", "uint8", "bool", "M8[s]", "V7", "complex64")


def files_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@st.composite
def tensors(draw: st.DrawFn, content: bytes) -> bytes:
    """A safetensors file with another header."""
    length = int.from_bytes(content[:8], "little")
    header = draw(changed_json(json.loads(content[8 : 8 + length])))
    said = draw(st.sampled_from((len(header), len(header), length, 0, 2**63)))
    return said.to_bytes(8, "little") + header + draw(damaged(content[8 + length :], 1))


@st.composite
def arrays(draw: st.DrawFn, content: bytes) -> bytes:
    """An npz file in which an array has another shape or type, or is missing."""
    with np.load(io.BytesIO(content)) as found:
        kept = {name: found[name] for name in found.files}
    name = draw(st.sampled_from(sorted(kept)))
    change = draw(st.sampled_from(("shape", "type", "without", "header")))
    if change == "without":
        del kept[name]
    elif change == "shape":
        shape = draw(st.sampled_from([each for each in SHAPES if np.prod(each) < 1e6]))
        kept[name] = np.resize(kept[name], shape) if kept[name].size else np.zeros(shape)
    elif change == "type":
        kept[name] = np.zeros(kept[name].shape, draw(st.sampled_from(TYPES)))
    buffer = io.BytesIO()
    np.savez(buffer, **kept)
    return draw(damaged(buffer.getvalue(), 1)) if change == "header" else buffer.getvalue()


@st.composite
def bundles(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """A bundle with other files than its version has, or one that was damaged on the way."""
    content = draw(st.sampled_from(whole))
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged(content))
    name = draw(st.sampled_from(sorted(files_of(content))))
    old = files_of(content)[name]
    if name.endswith(".json"):
        new = draw(changed_json(json.loads(old)))
    elif name.endswith(".safetensors"):
        new = draw(st.one_of(tensors(old), damaged(old)))
    else:
        new = draw(arrays(old) if name.endswith(".npz") else damaged(old))
    moved = draw(st.sampled_from((name, name, name, "results/withdrawn.json", "results/remarks.json")))
    return rezipped(content, lambda files: files.update({moved: new}))


def test_bundles(api: TestClient, services: Services, line: TestClient, tmp_path: Path, fuzz: Fuzzing) -> None:
    whole = [bundle(api, make(services.registry, f"of-{kind}")) for kind, make in KINDS.items()]

    def bring(content: bytes) -> str:
        answer = send(line, content)
        check(answer, tmp_path)
        assert answer.status_code in (200, 201, 409, 413, 415, 422), answer.text
        if answer.status_code < 300:
            use(line, answer.headers["location"], tmp_path)
        return str(answer.status_code)

    fuzz("bundles", bring, bundles(whole), count=40, seconds=SECONDS, memory=lambda: megabytes(os.getpid()))


def use(line: TestClient, path: str, place: Path) -> None:
    """Reads all that there is of an imported version, and deletes it."""
    for part in PARTS:
        check(line.get(path + part), place)
    said: dict[str, Any] = {"model": path.split("/")[2], "background": "none", "count": 1}
    check(line.post("/compositions", json=said), place)
    assert line.delete(path).status_code == 204
