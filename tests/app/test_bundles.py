"""Bundles: a version at another site has the same addresses and bytes, and what is no bundle is refused in words."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient
from tests.bundled_versions import KINDS, dcgan, labelled

from flawsmith.app.main import create_app
from flawsmith.core.domain.addresses import Address, seeded
from flawsmith.core.domain.evaluation_result import EvaluationResult
from flawsmith.core.domain.quality_floor import QualityFloor
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.registry import Registry
from flawsmith.core.store.version_results import EVALUATIONS, save_result
from flawsmith.worker.engine import Engine

HURTS = EvaluationResult(
    arms=[], differences=[], recommended_ratio=None, verdict="hurts", reason="it does", leaks=False, repeats=5
).model_dump(mode="json")  # fmt: skip


@pytest.fixture
def line(redis_settings: Settings, tmp_path: Path) -> Iterator[TestClient]:
    """Another site, without a version: the API and its artifact store."""
    socket = redis_settings.data_dir / "redis" / "redis.sock"
    settings = Settings(data_dir=tmp_path / "line", redis_url=f"unix://{socket}")
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


def services_of(client: TestClient) -> Services:
    found: Services = client.app.state.services  # type: ignore[attr-defined]
    return found


def path_of(version: ModelVersion) -> str:
    return f"/models/{version.model}/versions/{version.version}"


def bundle(api: TestClient, version: ModelVersion) -> bytes:
    answer = api.get(f"{path_of(version)}/bundle")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    return answer.content


def send(client: TestClient, content: bytes, **headers: str) -> Any:
    return client.post("/models/import", content=content, headers={"Content-Type": "application/zip", **headers})


def images(registry: Registry, version: ModelVersion) -> list[bytes]:
    """The PNGs and masks of some addresses."""
    engine = Engine(registry, 1, torch.device("cpu"))
    addresses = seeded(version.classes, None, 5, 4)
    pngs = [
        engine.encoder(version.ref)(*each)
        for each in zip(addresses, engine.sample(version.ref, addresses), strict=True)
    ]
    masks = [each.mask or b"" for each in engine.labels(version.ref, addresses)] if version.labels else []
    return [*pngs, *masks]


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_moves_with_its_addresses_and_bytes(
    api: TestClient, services: Services, line: TestClient, kind: str
) -> None:
    version = KINDS[kind](services.registry, "steel")
    assert api.patch(path_of(version), json={"note": "Line 3", "tags": ["new lamp"]}).status_code == 200
    content = bundle(api, version)
    answer = send(line, content)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == path_of(version)
    assert answer.json() == api.get(path_of(version)).json() == line.get(path_of(version)).json()
    there = services_of(line).registry
    assert images(there, there.resolve(version.ref)) == images(services.registry, version)
    assert bundle(line, there.resolve(version.ref)) == content  # so it can move on


def test_it_is_sent_as_a_form_too_and_twice_changes_nothing(
    api: TestClient, services: Services, line: TestClient
) -> None:
    content = bundle(api, dcgan(services.registry, "steel"))
    form = {"files": {"bundle": ("steel-1.bundle.zip", content)}, "headers": {"Idempotency-Key": "a"}}
    first, again, third = line.post("/models/import", **form), line.post("/models/import", **form), send(line, content)
    assert [each.status_code for each in (first, again, third)] == [201, 201, 200]
    assert first.json() == again.json() == third.json()
    other = line.post("/models/import", files={"bundle": b"other"}, headers={"Idempotency-Key": "a"})
    assert (other.status_code, other.json()["type"]) == (422, "urn:flawsmith:key-reused")
    log = (services_of(line).store.root / "audit.jsonl").read_text().splitlines()
    assert [json.loads(each)["event"] for each in log] == ["version_imported"]


def test_two_imports_at_once_make_one_version(api: TestClient, services: Services, line: TestClient) -> None:
    content = bundle(api, dcgan(services.registry, "steel"))
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: send(line, content), range(2)))
    assert sorted(each.status_code for each in answers) in ([200, 201], [201, 201]), [each.text for each in answers]
    assert line.get("/models/steel").json()["versions"] == [1]


def test_what_is_not_given_out_stays_so_at_the_other_site(
    api: TestClient, services: Services, line: TestClient
) -> None:
    version = labelled(services.registry, "steel")
    parent = services.registry.resolve("steel@1")
    services.registry.withdraw(parent, Address("pits", 7), "shows a logo")
    services.registry.set_quality_floor(version, QualityFloor(score=0.25, set_at=now()))
    api.patch(path_of(version), json={"note": "New lamp", "tags": ["line-3"]})
    save_result(services.registry.folder(parent), EVALUATIONS, "evaluation-1", HURTS, services.store.write_bytes)
    assert send(line, bundle(api, version)).status_code == 201
    gone = line.get(f"{path_of(version)}/images/7.png?defect_type=pits")
    assert gone.status_code == 410 and "shows a logo" in gone.json()["detail"]
    assert line.get(f"{path_of(version)}/quality-floor").json()["score"] == 0.25
    assert line.get(path_of(version)).json()["note"] == "New lamp"
    assert [each["name"] for each in line.get("/models?tag=line-3").json()["items"]] == [version.model]
    refused = line.put("/models/steel/aliases/production", json={"version": 2})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:flawsmith:not-for-production")

    services.registry.withdraw(version, Address("dents", 9), "a finger")
    assert send(line, bundle(api, version)).status_code == 200
    assert line.get(f"{path_of(version)}/images/9.png?defect_type=dents").status_code == 410


def test_the_file_has_an_etag_ranges_and_a_head(api: TestClient, services: Services) -> None:
    version = dcgan(services.registry, "steel")
    place, content = f"{path_of(version)}/bundle", bundle(api, version)
    whole, head = api.get(place), api.head(place)
    etag = whole.headers["etag"]
    assert whole.content == content
    assert "steel-1.bundle.zip" in whole.headers["content-disposition"]
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    assert head.headers["content-length"] == str(len(content))
    assert api.get(place, headers={"If-None-Match": etag}).status_code == 304
    part = api.get(place, headers={"Range": "bytes=100-", "If-Range": etag})
    assert (part.status_code, part.content) == (206, content[100:])
    assert api.get(place, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert api.get("/models/steel/versions/2/bundle").status_code == 404
    services.registry.withdraw(version, Address("pits", 7), "shows a logo")
    assert api.get(place, headers={"If-None-Match": etag}).status_code == 200
    assert not list(services.store.staging.iterdir())  # what was sent is gone


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


def cut(files: dict[str, bytes]) -> None:
    files["version/generator.safetensors"] = files["version/generator.safetensors"][:-8]


def turned(files: dict[str, bytes]) -> None:
    content = bytearray(files["version/generator.safetensors"])
    content[-1] ^= 1
    files["version/generator.safetensors"] = bytes(content)


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
    "an unknown preset": (edited(CARD, preset="stylegan9"), "stylegan9"),
    "a preset without networks": (edited(CARD, preset="paste"), "paste"),
    "a card that says other things than the weights": (edited(CARD, mode="RGB"), "config"),
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


def test_a_name_that_is_taken_is_409(api: TestClient, services: Services, line: TestClient) -> None:
    there = services_of(line)
    dcgan(there.registry, "steel")  # published at another moment: another version
    content = bundle(api, dcgan(services.registry, "steel"))
    answer = send(line, content)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:conflict")
    assert "another steel@1" in answer.json()["detail"]
    assert line.delete("/models/steel/versions/1").status_code == 204
    answer = send(line, content)
    assert answer.status_code == 409 and "deleted" in answer.json()["detail"]


def test_a_version_that_labels_another_one_is_refused(api: TestClient, services: Services, line: TestClient) -> None:
    KINDS["fewshot"](services_of(line).registry, "steel")
    answer = send(line, bundle(api, labelled(services.registry, "steel")))
    assert answer.status_code == 409 and "steel@1" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"files": {"archive": b"PK\x03\x04"}}, 422),
        ({"files": {"bundle": b"PK\x03\x04"}, "data": {"name": "x"}}, 422),
        ({"files": [("bundle", b"PK"), ("bundle", b"PK")]}, 422),
        ({"data": {"bundle": "x"}, "files": {}}, 415),
        ({"content": b"PK\x03\x04"}, 415),
        ({"json": {"bundle": "x"}}, 415),
        ({"content": b"PK", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({"content": b"PK", "headers": {"Content-Type": "application/zip", "Content-Encoding": "gzip"}}, 415),
    ],
)
def test_other_bodies_are_refused(line: TestClient, request_of: dict[str, Any], status: int) -> None:
    answer = line.post("/models/import", **request_of)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


def test_a_bundle_may_be_as_large_as_an_upload(make_api: Callable[..., TestClient]) -> None:
    api = make_api(max_upload_bytes=1000)
    assert send(api, bytes(1001)).status_code == 413
    assert send(api, bytes(1000)).status_code == 415


def test_keys_need_their_scopes(make_api: Callable[..., TestClient]) -> None:
    api = make_api(api_keys="g:generate,t:train,a:admin")
    registry = services_of(api).registry
    version = dcgan(registry, "steel")
    got = {key: api.get(f"{path_of(version)}/bundle", headers={"Authorization": f"Bearer {key}"}) for key in "gta"}
    assert [each.status_code for each in got.values()] == [403, 200, 200]
    sent = [send(api, got["t"].content, Authorization=f"Bearer {key}").status_code for key in "gta"]
    assert sent == [403, 403, 200]


def test_an_import_keeps_to_the_limit_on_models(api: TestClient, services: Services, line: TestClient) -> None:
    content, there = bundle(api, dcgan(services.registry, "steel")), services_of(line)
    KINDS["fewshot"](there.registry, "other")
    there.settings = there.settings.model_copy(update={"max_models": 1})
    answer = send(line, content)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:limit-reached")
    there.settings = there.settings.model_copy(update={"max_models": 2})
    assert send(line, content).status_code == 201
