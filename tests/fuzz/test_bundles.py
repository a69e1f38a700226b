"""Bundles, and the cards, weights and arrays in them, as strangers change them, through POST /models/import."""

import hashlib
import io
import itertools
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from starlette.testclient import TestClient

from flawsmith.core.services import Services
from tests.app.bundles import bundle, send
from tests.app.test_wrong_bundles import CARD, MANIFEST
from tests.bundled_versions import KINDS
from tests.conftest import Service, zipped
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


Files = dict[str, bytes]


@st.composite
def bundles(draw: st.DrawFn, whole: list[bytes]) -> bytes | Files:
    """A bundle that was damaged on the way, or the files of one whose manifest is still to be written."""
    content = draw(st.sampled_from(whole))
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged(content))
    files = files_of(content)
    name = draw(st.sampled_from(sorted(files)))
    old = files[name]
    if name.endswith(".json"):
        new = draw(changed_json(json.loads(old)))
    elif name.endswith(".safetensors"):
        new = draw(st.one_of(tensors(old), damaged(old)))
    else:
        new = draw(arrays(old) if name.endswith(".npz") else damaged(old))
    moved = draw(st.sampled_from((name, name, name, "results/withdrawn.json", "results/remarks.json")))
    return files | {moved: new}


def packed(files: Files, name: str) -> bytes:
    """The bundle of these files, of a model with this name where its card and its manifest can be read."""
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        card, manifest = json.loads(files[CARD]), json.loads(files[MANIFEST])
        number = manifest["version"].rpartition("@")[2]
        files = files | {CARD: json.dumps(card | {"model": name}).encode()}
        said = {
            each: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for each, data in files.items()
            if each != MANIFEST
        }
        written = manifest | {"version": f"{name}@{number}"}
        if isinstance(manifest["files"], dict):
            written["files"] = said
        files = files | {MANIFEST: json.dumps(written).encode()}
    return zipped(files)


def test_bundles(
    api: TestClient, services: Services, service: Service, trained: dict[str, Any], tmp_path: Path, fuzz: Fuzzing
) -> None:
    whole = [bundle(api, make(services.registry, f"of-{kind}")) for kind, make in KINDS.items()]
    whole.append(service.client.get(f"/models/{trained['model']}/versions/1/bundle").content)
    pid, names = service.pid("api") or 0, (f"brought-{number}" for number in itertools.count())

    def bring(example: bytes | Files) -> str:
        content = example if isinstance(example, bytes) else packed(example, next(names))
        answer = send(service.client, content)
        check(answer, service.data_dir)
        assert answer.status_code in (200, 201, 409, 413, 415, 422), answer.text
        if answer.status_code == 201:
            use(service, answer.headers["location"])
        return str(answer.status_code)

    fuzz("bundles", bring, bundles(whole), count=20, seconds=SECONDS, memory=lambda: megabytes(pid))


def use(service: Service, path: str) -> None:
    """Reads all that there is of an imported version, has it make an image, and deletes it."""
    for part in PARTS:
        check(service.client.get(path + part), service.data_dir)
    _, _, name, _, number = path.split("/")
    said: dict[str, Any] = {"model": name, "background": "none", "count": 1}
    check(service.client.post("/compositions", json=said), service.data_dir)
    made = service.client.post("/generate", json={"model": f"{name}@{number}", "seed": 1})
    check(made, service.data_dir)
    assert made.status_code in (200, 409), (made.text, service.client.get(path).json())
    assert service.client.delete(path).status_code == 204
