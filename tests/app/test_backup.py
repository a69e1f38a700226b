"""Backup and restore, of a site that changes all the time: what is restored is whole, and refers to nothing missing."""

import io
import itertools
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient
from tests.conftest import SMALL_JOB, photograph, zipped
from tests.published_versions import publish
from tests.s3_server import BUCKET, ENVIRONMENT

from flawsmith.app.main import create_app
from flawsmith.core.domain.addresses import Address
from flawsmith.core.housekeeping.backup import write_backup
from flawsmith.core.housekeeping.restore import CannotRestore, restore_backup
from flawsmith.core.live.job_events import emit
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.job_folder import JobFolder


@pytest.fixture
def empty(redis_settings: Settings, tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Makes empty sites, one after another."""
    socket = redis_settings.data_dir / "redis" / "redis.sock"
    made: list[TestClient] = []

    def make(artifact_store: str = "") -> TestClient:
        database = len(made) + 1  # one for each site
        with redis.Redis(unix_socket_path=str(socket), db=database) as client:
            client.flushdb()
        url = f"unix://{socket}?db={database}"
        settings = Settings(data_dir=tmp_path / f"other-{len(made)}", redis_url=url, artifact_store=artifact_store)
        made.append(TestClient(create_app(settings), base_url="http://localhost"))
        made[-1].__enter__()
        return made[-1]

    yield make
    for each in made:
        each.__exit__(None, None, None)


def services_of(client: TestClient) -> Services:
    found: Services = client.app.state.services  # type: ignore[attr-defined]
    return found


def backup_of(services: Services) -> bytes:
    stream = io.BytesIO()
    write_backup(services, stream)
    return stream.getvalue()


def submit(api: TestClient, key: str) -> Any:
    body = {"dataset": "set", "model": "steel", **SMALL_JOB}
    return api.post("/training-jobs", json=body, headers={"Idempotency-Key": key})


@pytest.fixture(params=["folder", "bucket"])
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the artifact store of a restored site is: `FLAWSMITH_ARTIFACT_STORE`."""
    if request.param == "folder":
        return ""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": request.getfixturevalue("s3_address")}.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/restored"


def test_a_restored_site_answers_as_the_one_before(
    api: TestClient, services: Services, dataset: str, empty: Callable[..., TestClient], target: str
) -> None:
    version = publish(services.registry, "job-1", classes=["pits"])
    services.registry.set_alias("scratches", "production", 1)
    services.registry.withdraw(version, Address("pits", 7), "shows a logo")
    job = submit(api, "a").json()["id"]
    folder = JobFolder(services.store, job)
    for each in ("state.safetensors", "checkpoint.json"):
        services.store.write_bytes(folder.checkpoint(3) / each, b'{"history": []}')
    services.store.write_bytes(folder.sample(3), photograph())
    with services.redis.pipeline() as pipe:
        emit(pipe, job, "samples", {"step": 3})
        pipe.execute()
    services.history.record(job, [{"step": 4, "loss": 0.5}])
    running = json.loads(services.redis.get(f"flawsmith:job:{job}") or "")
    running["progress"]["step"] = 4
    services.redis.set(f"flawsmith:job:{job}", json.dumps(running))

    there = empty(target)
    restore_backup(services_of(there), io.BytesIO(backup_of(services)))
    paths = ("/datasets", "/models", "/models/scratches/versions/1", "/training-jobs", f"/training-jobs/{job}")
    for path in (*paths, f"/training-jobs/{job}/history", f"/datasets/{dataset}"):
        assert there.get(path).json() == api.get(path).json(), path
    for path in (f"/datasets/{dataset}/preview.png", f"/training-jobs/{job}/samples/3.png"):
        assert there.get(path).content == api.get(path).content, path
    assert there.get("/models/scratches/versions/1/images/7.png").status_code == 410
    assert JobFolder(services_of(there).store, job).checkpoint_step() == 3
    assert submit(there, "a").json()["id"] == job  # the answer of an Idempotency-Key
    cancelled = there.post(f"/training-jobs/{job}/cancel")
    events = there.get(f"/training-jobs/{job}/events").text
    assert cancelled.status_code == 202 and '"step": 3' in events.replace('"step":3', '"step": 3')
    back = empty() if target else there
    if target:
        restore_backup(services_of(back), io.BytesIO(backup_of(services_of(there))))
        assert (
            back.get(f"/datasets/{dataset}/preview.png").content == api.get(f"/datasets/{dataset}/preview.png").content
        )
        assert back.put("/models/scratches/aliases/staging", json={"version": 1}).status_code == 200
    assert there.delete(f"/datasets/{dataset}").status_code == 204


class Meanwhile(io.RawIOBase):
    """What a backup is written to; with every piece that arrives, the site changes."""

    def __init__(self, change: Callable[[], None]) -> None:
        super().__init__()
        self.content, self._change = io.BytesIO(), change

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._change()
        return self.content.write(piece)


def test_a_backup_of_a_site_that_changes_all_the_time_refers_to_nothing_missing(
    api: TestClient, services: Services, job: str, empty: Callable[[], TestClient]
) -> None:
    registry, counts, others = services.registry, itertools.count(), list[tuple[str, str]]()

    def change() -> None:
        """The alias moves to a new version, and an old one is deleted; so are a job and its dataset."""
        number = next(counts)
        newest = publish(registry, f"job-{number}-" + "x" * 25_000)  # several pieces
        registry.set_alias("scratches", "production", newest.version)
        for each in registry.model("scratches").versions[8:]:
            registry.delete_version("scratches", str(each))
        if number % 4:
            return
        files = {f"pits/{each}.png": photograph(10 * number + each, side=90) for each in range(2)}
        dataset = api.post("/datasets", data={"name": f"set-{number}"}, files={"archive": zipped(files)}).json()["id"]
        body = {"dataset": dataset, "model": "m", **SMALL_JOB}
        others.append((api.post("/training-jobs", json=body).json()["id"], dataset))
        if len(others) > 2:
            old, unused = others.pop(0)
            assert api.post(f"/training-jobs/{old}/cancel").status_code == 202
            assert api.delete(f"/training-jobs/{old}").status_code == 204
            assert api.delete(f"/datasets/{unused}").status_code == 204

    for _ in range(9):
        change()
    backup, begun = Meanwhile(change), next(counts)
    write_backup(services, backup)  # type: ignore[arg-type]
    assert next(counts) - begun > 10
    there = empty()
    restore_backup(services_of(there), io.BytesIO(backup.content.getvalue()))
    [model] = there.get("/models").json()["items"]
    assert {*model["aliases"].values()} <= {*model["versions"]}
    for number in model["versions"]:
        assert there.get(f"/models/scratches/versions/{number}/weights.safetensors").content.startswith(b"job-")
    datasets = {each["id"] for each in there.get("/datasets").json()["items"]}
    for each in datasets:
        assert len(services_of(there).datasets.load(each, 32).pixels) >= 2
    queued = {each["id"]: each["dataset"] for each in there.get("/training-jobs?state=queued").json()["items"]}
    assert job in queued and {*queued.values()} <= datasets


def test_only_an_empty_site_is_filled(api: TestClient, services: Services, dataset: str) -> None:
    backup = backup_of(services)
    with pytest.raises(CannotRestore, match="not empty"):
        restore_backup(services, io.BytesIO(backup))


def test_an_interrupted_restore_goes_on(
    services: Services, dataset: str, empty: Callable[[], TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(services.registry, "job-1")
    backup, there = backup_of(services), services_of(empty())
    with monkeypatch.context() as patch:
        patch.setattr(there.jobs, "counts", lambda: {})
        patch.setattr(type(there.redis), "delete", lambda *_: (_ for _ in ()).throw(OSError("the power went")))
        with pytest.raises(OSError, match="power"):
            restore_backup(there, io.BytesIO(backup))
    restore_backup(there, io.BytesIO(backup))
    assert there.datasets.get(dataset).image_count == 3
    assert there.registry.model("scratches").versions == [1]
    assert not there.store.path("restoring.json").exists()


def with_members(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            content = b'{"kind": "flawsmith-backup", "release": "1", "created_at": "2026-01-01T00:00:00Z"}'
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_what_is_no_whole_backup_changes_nothing(
    services: Services, dataset: str, empty: Callable[[], TestClient]
) -> None:
    backup = backup_of(services)
    place = backup.index(b"\x89PNG") + 40
    wrong = {
        "cut in the middle": (backup[: len(backup) // 2], "cut short"),
        "cut before its end": (backup[: backup.rindex(b"contents.json") - 600], "cut short"),
        "changed": (backup[:place] + b"x" + backup[place + 1 :], "changed"),
        "a zip": (zipped({"a": b"b"}), "no backup"),
        "nothing": (b"", "no backup"),
        "another tar": (with_members("a"), "no backup"),
        "a path out of it": (with_members("backup.json", "artifacts/../../x"), "leads out"),
    }
    there = services_of(empty())
    for what, (content, said) in wrong.items():
        with pytest.raises(CannotRestore, match=said):
            restore_backup(there, io.BytesIO(content))
        assert there.datasets.list() == [], what
        assert not there.store.path("restoring.json").exists()
