"""The clients against a real service with keys: the main path, broken connections, refusals and outages."""

import json
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.client.both import Run, both, sync_run
from tests.client.stand_in import CuttingProxy
from tests.conftest import PATIENCE, SMALL_JOB, Service, photograph, start_service, stop_service, until

from flawsmith import Client
from flawsmith.client import Event, JobFailed, Version
from flawsmith.client.errors import (
    Busy,
    Conflict,
    FlawsmithError,
    Invalid,
    NoKey,
    NotForProduction,
    NotFound,
    NothingNew,
    OutOfScope,
)

ADMIN, GENERATE, CROWD = {"key": "the-admin"}, {"key": "the-generator"}, {"key": "the-crowd"}
IMAGES_PER_SECOND = 30


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with keys and a bound on a caller's rate."""
    keys = "the-admin:admin,the-generator:generate,the-crowd:generate"
    running = start_service(
        tmp_path_factory.mktemp("guarded"), api_keys=keys, caller_images_per_second=str(IMAGES_PER_SECOND)
    )
    running.client.headers["Authorization"] = "Bearer the-admin"
    yield running
    stop_service(running)


@pytest.fixture(scope="module")
def url(guarded: Service) -> str:
    return str(guarded.client.base_url)


def photographs(folder: Path, seed: int = 0, side: int = 40) -> Path:
    """A folder with pictures of dents and scratches."""
    for number, kind in enumerate(("dents", "scratches")):
        (folder / kind).mkdir(parents=True)
        for each in range(5):
            (folder / kind / f"{each}.png").write_bytes(photograph(seed + 10 * number + each, side))
    return folder


@pytest.fixture(scope="module")
def version(url: str, tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A version of the model `steel`."""
    with Client(url, **ADMIN) as client:
        dataset = client.upload(photographs(tmp_path_factory.mktemp("steel") / "steel"))
        job = client.wait(client.train(dataset, "steel", **SMALL_JOB))
        assert job.produced == "steel@1"
        return client.version(job.produced)


@both
def test_from_photographs_to_arrays(run: Run, url: str, tmp_path: Path) -> None:
    name = run.__name__.replace("_", "-")
    sent: list[tuple[int, int]] = []
    folder = photographs(tmp_path / name, seed=len(name) * 100)
    dataset = run(url, "upload", folder, client=ADMIN, on_progress=lambda *at: sent.append(at))
    assert (dataset.name, dataset.classes) == (name, {"dents": 5, "scratches": 5})
    assert sent[-1][0] == sent[-1][1] > 10_000
    assert run(url, "upload", folder, client=ADMIN).id == dataset.id

    plan = run(url, "plan", name, name, client=ADMIN, **SMALL_JOB)
    assert plan.config["total_steps"] == 6
    assert name not in [each.model for each in run(url, "jobs", client=ADMIN)]

    steps: list[tuple[int, int]] = []
    job = run(url, "train", dataset, name, client=ADMIN, **SMALL_JOB)
    ended = run(url, "wait", job, client=ADMIN, on_progress=lambda *at: steps.append(at))
    assert (ended.state, ended.produced, steps[-1]) == ("succeeded", f"{name}@1", (6, 6))
    events: list[Event] = run(url, "watch", job, client=ADMIN)
    assert {"state", "samples", "progress"} <= {each.name for each in events}
    assert events[-1].data["state"] == "succeeded"
    steps_with_grids = run(url, "sample_steps", job, client=ADMIN)
    assert steps_with_grids[-1] == 6
    newest = run(url, "sample_grid", job, client=ADMIN)
    assert run(url, "sample_grid", job, steps_with_grids[-1], client=ADMIN) == newest
    later = run(url, "watch", job, client=ADMIN, last_event_id=events[-2].id)
    assert later == events[-1:]

    images = run(url, "generate", f"{name}@1", 5, client=GENERATE, seed=7)
    assert [each.seed for each in images] == [7, 8, 9, 10, 11]
    assert images.numpy().shape == (5, 32, 32)
    assert np.array_equal(images.numpy()[2], np.asarray(images.pil()[2]))
    for one in (run(url, "image", f"{name}@1", 8, client=GENERATE), run(url, "image", images[1].url, client=GENERATE)):
        assert (one.png, one.defect_type) == (images[1].png, images[1].defect_type)
    files = images.save(tmp_path / "out")
    assert {path.parent.name for path in files} == {"dents", "scratches"}
    listed = json.loads((tmp_path / "out" / "manifest.json").read_text())["images"]
    assert [tmp_path / "out" / each["file"] for each in listed] == files


@both
def test_photographs_are_added(run: Run, url: str, version: Version, tmp_path: Path) -> None:
    new = tmp_path / "dents"
    new.mkdir()
    (new / "new.png").write_bytes(photograph(5000 + len(run.__name__)))
    (new / "old.png").write_bytes(photograph(0))
    sent: list[tuple[int, int]] = []
    grown = run(url, "add_photographs", "steel", tmp_path, client=ADMIN, on_progress=lambda *at: sent.append(at))
    assert grown.parent == run(url, "dataset", "steel", client=ADMIN).id
    assert (grown.classes, grown.added["photographs"], grown.added["copies"]) == ({"dents": 6, "scratches": 5}, 1, 1)
    assert sent[-1][0] == sent[-1][1]
    with pytest.raises(NothingNew):
        run(url, "add_photographs", grown, tmp_path, client=ADMIN)


@both
def test_more_images_than_one_request_may_hold(run: Run, url: str, version: Version) -> None:
    with Client(url, **ADMIN) as client:
        pieces = [client.generate(version, 1, seed=seed)[0].png for seed in (0, 255, 256, 299)]
    told: list[tuple[int, int]] = []
    images = run(url, "generate", version, 300, client=CROWD, seed=0, on_progress=lambda *at: told.append(at))
    assert [images[at].png for at in (0, 255, 256, 299)] == pieces
    assert told == [(256, 300), (300, 300)]


@both
def test_notes_and_tags_are_changed_and_found(run: Run, url: str, version: Version) -> None:
    mine = run.__name__.replace("_", "-")
    train = {**SMALL_JOB, "note": "first", "tags": [mine, "a"]}
    job = run(url, "train", "steel", f"noted-{mine}", client=ADMIN, **train)
    assert (job.note, job.tags) == ("first", [mine, "a"])
    changed = run(url, "note_job", job, "New lamp", client=ADMIN, add_tags=["b"], remove_tags=["a"])
    assert (changed.note, changed.tags) == ("New lamp", [mine, "b"])
    assert [each.id for each in run(url, "jobs", client=ADMIN, tags=[mine, "b"], search="LAMP")] == [job.id]
    assert run(url, "jobs", client=ADMIN, tags=[mine, "a"]) == []
    ended = run(url, "wait", job, client=ADMIN)
    table = run(url, "history_table", job, client=ADMIN).decode().splitlines()
    assert len(table) == 1 + len(run(url, "history", job, client=ADMIN)["steps"])
    published = run(url, "version", ended.produced, client=GENERATE)
    assert (published.note, published.tags) == ("New lamp", [mine, "b"])
    noted = run(url, "note_version", published, "", client=ADMIN, tags=["best", mine])
    assert (noted.note, noted.tags) == (None, ["best", mine])
    assert [each.name for each in run(url, "models", client=GENERATE, tags=[mine])] == [f"noted-{mine}"]
    assert [each.version for each in run(url, "versions", f"noted-{mine}", client=GENERATE, tags=["best"])] == [1]
    with pytest.raises(Invalid, match="no comma"):
        run(url, "note_job", job, client=ADMIN, add_tags=["a,b"])
    with pytest.raises(OutOfScope):
        run(url, "note_version", published, "mine now", client=GENERATE)


@both
def test_the_same_key_gives_the_same_new_images(run: Run, url: str, version: Version) -> None:
    made = [run(url, "generate", version, 3, client=ADMIN, idempotency_key=f"{run.__name__}-1") for _ in range(2)]
    assert [each.png for each in made[0]] == [each.png for each in made[1]]
    other = run(url, "generate", version, 3, client=ADMIN)
    assert {each.url for each in other}.isdisjoint(each.url for each in made[0])


@both
def test_the_gate_of_production_gives_its_reasons(run: Run, url: str, version: Version) -> None:
    with pytest.raises(NotForProduction) as refused:
        run(url, "promote", version, client=ADMIN)
    assert refused.value.reasons
    assert run(url, "promote", version, client=ADMIN, override="a test").aliases["production"] == 1
    assert run(url, "version", "steel@production", client=ADMIN).ref == "steel@1"
    run(url, "delete_alias", "steel", "production", client=ADMIN)


@both
@pytest.mark.parametrize(("client", "kind"), [({"key": "wrong"}, NoKey), ({"key": ""}, NoKey), (GENERATE, OutOfScope)])
def test_a_key_that_does_not_suffice(
    run: Run, url: str, client: dict[str, str], kind: type[Exception], tmp_path: Path
) -> None:
    large = tmp_path / "large.zip"
    large.write_bytes(bytes(3_000_000))
    with pytest.raises(kind):
        run(url, "upload", large, client=client)


@both
def test_what_is_not_there(run: Run, url: str, version: Version) -> None:
    for method, arguments in (("job", ["job-none"]), ("watch", ["nojob"]), ("wait", ["export-none"])):
        with pytest.raises(NotFound):
            run(url, method, *arguments, client=ADMIN)
    with pytest.raises(NotFound, match="no alias 'beta'"):
        run(url, "version", "steel@beta", client=ADMIN)
    with pytest.raises(NotFound, match="no report"):
        run(url, "report", version, client=ADMIN)


@both
def test_over_the_rate_it_waits_as_long_as_the_service_says(run: Run, url: str, version: Version) -> None:
    """Of two calls at once, one finds the debt of the other, which is seconds more than the rate permits."""
    told: list[FlawsmithError] = []
    client: dict[str, Any] = {**CROWD, "on_retry": lambda error, seconds: told.append(error)}
    made: list[int] = []

    def call() -> None:
        made.append(len(run(url, "generate", version, 256, client=client, seed=0)))

    calls = [threading.Thread(target=call) for _ in range(2)]
    for each in calls:
        each.start()
    for each in calls:
        each.join(120)
    assert made == [256, 256]
    assert {type(each) for each in told} == {Busy}
    assert all(isinstance(each, Busy) and each.retry_after for each in told)


@both
def test_an_upload_that_is_cut_is_sent_again(run: Run, guarded: Service, tmp_path: Path) -> None:
    folder = photographs(tmp_path / f"cut-{run.__name__}".replace("_", "-"), seed=len(run.__name__) * 1000, side=300)
    with CuttingProxy(guarded.client.base_url.port or 0, up=300_000) as proxy:
        dataset = run(proxy.url, "upload", folder, client=ADMIN)
    assert proxy.cuts > 1
    assert dataset.image_count == 10


@both
def test_a_job_whose_answer_was_lost_is_submitted_once(run: Run, guarded: Service, version: Version) -> None:
    model = f"once-{run.__name__}".replace("_", "-")
    with CuttingProxy(guarded.client.base_url.port or 0, down=10) as proxy:
        job = run(proxy.url, "train", "steel", model, client={**ADMIN, "deadline": 20.0}, **SMALL_JOB)
    assert proxy.cuts > 1
    submitted = [each.id for each in run(str(guarded.client.base_url), "jobs", client=ADMIN) if each.model == model]
    assert submitted == [job.id]


@both
def test_a_download_goes_on_where_it_was_cut(
    run: Run, guarded: Service, url: str, version: Version, tmp_path: Path
) -> None:
    job = run(url, "wait", run(url, "export", version, client=ADMIN, count=60), client=ADMIN)
    whole = run(url, "download", job, tmp_path / "whole.zip", client=ADMIN).read_bytes()
    seen: list[tuple[int, int]] = []
    with CuttingProxy(guarded.client.base_url.port or 0, down=20_000) as proxy:
        client = {**ADMIN, "deadline": 20.0}
        cut = run(
            proxy.url, "download", job, tmp_path / "cut.zip", client=client, on_progress=lambda *at: seen.append(at)
        )
    assert proxy.cuts > 1
    assert cut.read_bytes() == whole
    assert seen == sorted(seen), "it began anew"
    assert seen[-1] == (len(whole), len(whole))
    assert {path.name for path in tmp_path.iterdir()} == {"whole.zip", "cut.zip"}


@both
def test_a_download_goes_on_in_another_process(
    run: Run, guarded: Service, url: str, version: Version, tmp_path: Path
) -> None:
    job = run(url, "wait", run(url, "export", version, client=ADMIN, count=60), client=ADMIN)
    with CuttingProxy(guarded.client.base_url.port or 0, down=20_000) as proxy, pytest.raises(FlawsmithError):
        run(proxy.url, "download", job, tmp_path, client={**ADMIN, "deadline": 0.0})
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    seen: list[tuple[int, int]] = []
    path = run(url, "download", job, tmp_path, client=ADMIN, on_progress=lambda *at: seen.append(at))
    assert path == tmp_path / f"{job.id}.zip"
    assert seen[0][0] > 15_000
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


@both
def test_weights_are_those_of_the_version(run: Run, url: str, version: Version, tmp_path: Path) -> None:
    path = run(url, "weights", "steel", tmp_path, client=ADMIN)
    assert path.name == "steel-1.safetensors"
    from flawsmith import load_generator

    generator = load_generator(path)
    image = run(url, "image", version, 3, client=ADMIN)
    assert np.array_equal(generator.sample(seed=3), image.numpy())


@both
def test_following_a_job_survives_killed_processes(run: Run, guarded: Service, url: str, version: Version) -> None:
    model = f"killed-{run.__name__}".replace("_", "-")
    job = run(url, "train", "steel", model, client=ADMIN, **{**SMALL_JOB, "steps": 100_000})
    known = threading.Event()
    ended: list[Any] = []

    def follow() -> None:
        ended.append(run(url, "wait", job, client=ADMIN, check=False, on_progress=lambda *_: known.set()))

    follower = threading.Thread(target=follow)
    follower.start()
    assert known.wait(60 * PATIENCE)
    for part in (("api",), ("redis",)):
        pid = guarded.pid(*part)
        assert pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: guarded.ready(), 60, "the service is ready again")
    sync_run(url, "cancel", job, client=ADMIN)
    follower.join(60 * PATIENCE)
    assert [each.state for each in ended] == ["cancelled"]


@both
def test_a_call_outlives_an_outage_of_redis(run: Run, guarded: Service, url: str, version: Version) -> None:
    run(url, "model", "steel", client=ADMIN)
    pid = guarded.pid("redis")
    assert pid
    os.kill(pid, signal.SIGKILL)
    job = run(url, "train", "steel", f"outage-{run.__name__}".replace("_", "-"), client=ADMIN, **SMALL_JOB)
    assert run(url, "wait", job, client=ADMIN).state == "succeeded"


def test_a_job_that_fails_raises_with_its_reason(guarded: Service, url: str, tmp_path: Path) -> None:
    with Client(url, **ADMIN) as client:
        dataset = client.upload(photographs(tmp_path / "lost", seed=7000))
        for path in guarded.data_dir.glob(f"artifacts/datasets/{dataset.id}/images/*"):
            path.unlink()
        job = client.train(dataset, "lost", **SMALL_JOB)
        with pytest.raises(JobFailed) as failed:
            client.wait(job)
        assert failed.value.job.error
        assert failed.value.job.error in str(failed.value)
        with pytest.raises(Conflict):
            client.upload(photographs(tmp_path / "other" / "lost", seed=8000))
