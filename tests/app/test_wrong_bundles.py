"""What is no bundle, or a damaged one, is refused in words, and leaves nothing behind."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient
from tests.app.bundles import bundle, images, send, services_of
from tests.bundled_versions import dcgan, labelled
from tests.labelled_versions import CLASSES

from flawsmith.core.services import Services


def rezipped(content: bytes, change: Callable[[dict[str, bytes]], Any], **zip_options: Any) -> bytes:
    """A bundle whose files ``change`` changed; the manifest says of each what it is, unless it was changed itself."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {each: archive.read(each) for each in archive.namelist()}
    manifest = files["manifest.json"]
    change(files)
    if files.get("manifest.json") == manifest:
        said = json.loads(manifest)
        said["files"] = {
            name: {"bytes": len(each), "sha256": hashlib.sha256(each).hexdigest()}
            for name, each in files.items()
            if name != "manifest.json"
        }
        files["manifest.json"] = json.dumps(said).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **zip_options) as archive:
        for name, each in files.items():
            archive.writestr(name, each)
    return buffer.getvalue()


def edited(name: str, **changes: Any) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        files[name] = json.dumps({**json.loads(files[name]), **changes}).encode()

    return change


def config(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    """Changes what the card says of the networks."""

    def change(files: dict[str, bytes]) -> None:
        edited(CARD, config={**json.loads(files[CARD])["config"], **changes})(files)

    return change


def cut(files: dict[str, bytes]) -> None:
    files["version/generator.safetensors"] = files["version/generator.safetensors"][:-8]


def turned(files: dict[str, bytes]) -> None:
    content = bytearray(files["version/generator.safetensors"])
    content[-1] ^= 1
    files["version/generator.safetensors"] = bytes(content)


def tensor(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    """Changes what the header of the weights says of their first tensor."""

    def change(files: dict[str, bytes]) -> None:
        content = files[WEIGHTS]
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        header[next(name for name in header if name != "__metadata__")].update(changes)
        text = json.dumps(header).encode()
        files[WEIGHTS] = len(text).to_bytes(8, "little") + text + content[8 + length :]

    return change


def packed(name: str, compressed: bool = False, **changes: NDArray[Any]) -> Callable[[dict[str, bytes]], None]:
    """Puts an npz file of scores with two types into the bundle."""
    arrays: dict[str, NDArray[Any]] = {"classes": np.array(CLASSES), "scales": np.ones((2, 2))}
    arrays |= {f"{kind}_{number}": np.ones(3) for kind in ("photographs", "samples") for number in range(2)}
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays | changes)
    return lambda files: files.update({name: buffer.getvalue()})


def pictures(**changes: NDArray[Any]) -> Callable[[dict[str, bytes]], None]:
    """Changes arrays of the reference photographs."""

    def change(files: dict[str, bytes]) -> None:
        with np.load(io.BytesIO(files[REFERENCES])) as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        buffer = io.BytesIO()
        np.savez(buffer, **kept | changes)
        files[REFERENCES] = buffer.getvalue()

    return change


SCORES = "results/image-scores.npz"
REFERENCES = "version/references.npz"
CARD, MANIFEST, WEIGHTS = "version/card.json", "manifest.json", "version/generator.safetensors"
REPAIRED: dict[str, tuple[Callable[[dict[str, bytes]], Any], str]] = {
    "weights cut short": (cut, "safetensors"),
    "other weights": (turned, "weights_sha256"),
    "no weights": (lambda files: files.pop(WEIGHTS), "lacks"),
    "no card": (lambda files: files.pop(CARD), "card.json"),
    "no manifest": (lambda files: files.pop(MANIFEST), "manifest.json"),
    "a manifest of something else": (lambda files: files.update({MANIFEST: b'{"a": 1}'}), "manifest.json"),
    "a manifest that is no JSON": (lambda files: files.update({MANIFEST: b"["}), "manifest.json"),
    "a path out of the folder": (lambda files: files.update({"version/../../../x.json": b"{}"}), "no file of a bundle"),
    "an absolute path": (lambda files: files.update({"/etc/x.json": b"{}"}), "no file of a bundle"),
    "a program": (lambda files: files.update({"version/x.pt": b"{}"}), "no file of a bundle"),
    "a later format": (edited(MANIFEST, format=2), "update this service"),
    "another version's card": (edited(CARD, version=2), "steel@2"),
    "a card with a path as name": (edited(CARD, model="../x"), "card.json"),
    "a card without types": (edited(CARD, classes=[]), "defect type"),
    "a type with a line feed": (edited(CARD, classes=["a\nb", "c"]), "printable"),
    "another config": (edited(CARD, config={"resolution": 64, "channels": 1}), "config"),
    "a network beyond all bounds": (config(generator_depth=10**9), "generator_depth"),
    "a network of no channels": (config(generator_depth=-1), "generator_depth"),
    "a version that is its own parent": (edited(CARD, parent="steel@1"), "earlier version"),
    "a parent of another model": (edited(CARD, parent="other"), "earlier version"),
    "an unknown preset": (edited(CARD, preset="stylegan9"), "stylegan9"),
    "a preset without networks": (edited(CARD, preset="paste"), "paste"),
    "a card that says other things than the weights": (edited(CARD, mode="RGB"), "config"),
    "a shape that would take hours to multiply": (tensor(shape=[int("9" * 4000)] * 300), "safetensors"),
    "a shape that is no list": (tensor(shape=""), "safetensors"),
    "offsets that are no numbers": (tensor(data_offsets=[False, 1.5]), "safetensors"),
    "scores of other types": (packed(SCORES, classes=np.array(["x", "y"])), "other defect types"),
    "scores that are none": (packed(SCORES, samples_1=np.empty(0)), "image-scores.npz"),
    "scales of another shape": (packed(SCORES, scales=np.ones(4)), "image-scores.npz"),
    "scores that unpack to a hundred megabytes": (
        packed(SCORES, True, network_0=np.zeros(25_000_000, "f4")),
        "unpacks",
    ),
    "references in colour of gray images": (pictures(pictures=np.zeros((6, 32, 32, 3), np.int16)), "another mode"),
    "references without pictures": (pictures(pictures=np.zeros((6, 0), np.int16)), "references.npz"),
    "references with more names": (pictures(files=np.array(["a"] * 9)), "references.npz"),
    "references of a wrong type": (pictures(pictures=np.zeros((6, 32, 32, 1))), "references.npz"),
    "references that are none": (lambda files: files.update({"version/references.npz": b"PK"}), "references.npz"),
    "nested JSON": (lambda files: files.update({"version/judgement.json": b"[" * 100_000}), "judgement.json"),
    "withdrawn nonsense": (lambda files: files.update({"results/withdrawn.json": b'[{"seed": -1}]'}), "withdrawn.json"),
    "tags that are none": (lambda files: files.update({"results/remarks.json": b'{"tags": ["a,b"]}'}), "remarks.json"),
    "a note that is none": (
        lambda files: files.update({"results/remarks.json": json.dumps({"note": "a\0b"}).encode()}),
        "remarks.json",
    ),
    "a floor that is none": (lambda files: files.update({"results/quality-floor.json": b"{}"}), "quality-floor.json"),
    "an evaluation that is none": (
        lambda files: files.update({"results/evaluations/e-1.json": b'{"verdict": 5}'}),
        "evaluations/e-1.json",
    ),
}


@pytest.mark.parametrize("fault", REPAIRED)
def test_a_bundle_with_other_contents_is_refused_in_words(
    api: TestClient, services: Services, line: TestClient, fault: str
) -> None:
    change, said = REPAIRED[fault]
    answer = send(line, rezipped(bundle(api, dcgan(services.registry, "steel")), change))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:flawsmith:invalid"), answer.text
    assert said in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"] == "/bundle"
    assert line.get("/models").json()["items"] == []
    assert not list(services_of(line).store.staging.iterdir())


def test_a_labelled_version_without_its_label_network_is_refused(
    api: TestClient, services: Services, line: TestClient
) -> None:
    content = bundle(api, labelled(services.registry, "steel"))
    answer = send(line, rezipped(content, lambda files: files.pop("version/labels.safetensors")))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:flawsmith:invalid")
    assert "lacks version/labels.safetensors" in answer.json()["detail"]


def test_damage_on_the_way_is_noticed_wherever_it_is(api: TestClient, services: Services, line: TestClient) -> None:
    content = bundle(api, dcgan(services.registry, "steel"))
    for place in range(10, len(content), len(content) // 25):
        broken = bytearray(content)
        broken[place] ^= 0x41
        answer = send(line, bytes(broken))
        assert answer.status_code in (200, 201, 415, 422), answer.text  # a time in a header means nothing
        assert send(line, content[:place]).status_code in (415, 422), place
    assert send(line, content).status_code in (200, 201)  # no damaged one took its place
    version = services.registry.resolve("steel@1")
    assert images(services_of(line).registry, version) == images(services.registry, version)


def doubled(content: bytes) -> bytes:
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning):
        archive.writestr(CARD, b"{}")
    return buffer.getvalue()


def test_zips_that_are_no_bundles_are_refused(api: TestClient, services: Services, line: TestClient) -> None:
    content = bundle(api, dcgan(services.registry, "steel"))
    zeros = {"version/judgement.json": bytes(50_000_000)}
    bomb = rezipped(content, lambda files: files.update(zeros), compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1_000_000
    many = rezipped(content, lambda files: files.update({f"version/x{n}.json": b"{}" for n in range(20_001)}))
    refused = {
        "compressed": (bomb, 422),
        "doubled": (doubled(content), 422),
        "many": (many, 413),
        "a tar": (b"x" * 600, 415),
        "nothing": (b"", 415),
        "an empty zip": (b"PK\x05\x06" + bytes(18), 422),
    }
    for what, (sent, status) in refused.items():
        answer = send(line, sent)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), what
        assert answer.json()["detail"]
    assert line.get("/models").json()["items"] == []


def test_a_directory_that_leads_before_the_file_is_no_failing_disk(
    api: TestClient, services: Services, line: TestClient
) -> None:
    content = bytearray(bundle(api, dcgan(services.registry, "steel")))
    end, directory = content.index(b"PK\x05\x06"), content.index(b"PK\x01\x02")
    content[end + 16 : end + 20] = (directory + 1).to_bytes(4, "little")  # every entry begins a byte earlier
    answer = send(line, bytes(content))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:flawsmith:invalid")
    assert "damaged" in answer.json()["detail"]


def test_entries_that_share_their_bytes_are_refused(api: TestClient, services: Services, line: TestClient) -> None:
    content = bytearray(rezipped(bundle(api, dcgan(services.registry, "steel")), lambda files: None))
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        files = {each.filename: each for each in archive.infolist()}
    # Every entry of the directory claims to be as large as the whole file.
    at = content.index(b"PK\x01\x02")
    for _ in files:
        content[at + 20 : at + 28] = len(content).to_bytes(4, "little") * 2
        at = content.find(b"PK\x01\x02", at + 1)
    assert send(line, bytes(content)).status_code == 422
