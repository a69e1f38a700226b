"""Retention deletes what is old and unused, by a command or by itself, and nothing that is used."""

import json
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient
from tests.commands import flawsmith
from tests.conftest import SMALL_JOB, photograph, until, zipped
from tests.published_versions import FAILING, GOOD, publish

from flawsmith.core.domain.job_kinds.composition import KIND as COMPOSITION
from flawsmith.core.domain.job_kinds.export import KIND as EXPORT
from flawsmith.core.domain.jobs import Job, JobKind, Progress
from flawsmith.core.domain.records import Labelling
from flawsmith.core.domain.retention import parse_retention
from flawsmith.core.housekeeping.inventory import Inventory
from flawsmith.core.housekeeping.retention import collect
from flawsmith.core.housekeeping.schedule import start_retention
from flawsmith.core.live import keys
from flawsmith.core.services import Services
from flawsmith.core.store.job_folder import JobFolder

EVERYTHING = "jobs:0s,exports:0s,compositions:0s,evaluations:0s,checkpoints:0s,samples:0s,versions:0s,datasets:0s"


def deleted(services: Services, rules: str) -> set[tuple[str, str]]:
    outcome = collect(services, parse_retention(rules))
    return {(each.stored.kind, each.stored.id) for each in outcome.removed}


def dataset(api: TestClient, name: str, first: int = 0) -> str:
    files = {f"pits/{number}.png": photograph(first + number) for number in range(3)}
    return str(api.post("/datasets", data={"name": name}, files={"archive": zipped(files)}).json()["id"])


def train(api: TestClient, of: str, **body: Any) -> str:
    return str(api.post("/training-jobs", json={"dataset": of, "model": "steel", **SMALL_JOB, **body}).json()["id"])


def ended(api: TestClient, services: Services, of: str) -> str:
    """A cancelled job with two checkpoints and two sample grids."""
    job = train(api, of)
    folder = JobFolder(services.store, job)
    for step in (3, 5):
        services.store.write_bytes(folder.checkpoint(step) / "state.safetensors", bytes(1000))
        history = [{"step": each, "loss": 1.0} for each in range(1, step + 1)]
        services.store.write_json(folder.checkpoint(step) / "checkpoint.json", {"history": history})
        services.store.write_bytes(folder.sample(step), photograph(step))
    assert api.post(f"/training-jobs/{job}/cancel").status_code == 202
    return job


def made(services: Services, kind: JobKind, **fields: Any) -> Job:
    return services.jobs.create(kind.new_job(config={}, progress=Progress(total_steps=1), **fields))


def test_nothing_is_deleted_without_a_rule(api: TestClient, services: Services) -> None:
    job = ended(api, services, dataset(api, "old"))
    assert services.settings.retention_rules == {}
    assert deleted(services, "") == set()
    assert api.get(f"/training-jobs/{job}/samples/3.png").status_code == 200


def test_ended_jobs_go_and_others_stay_with_all_that_they_use(api: TestClient, services: Services) -> None:
    used, unused = dataset(api, "used"), dataset(api, "unused", 50)
    old, queued = ended(api, services, unused), train(api, used)
    composition, other = made(services, COMPOSITION), made(services, COMPOSITION)
    for each in (composition, other):
        services.jobs.cancel(each.id)
    export = made(services, EXPORT, composition=composition.id, layout="imagefolder")
    gone = deleted(services, EVERYTHING)
    assert gone == {("jobs", old), ("compositions", other.id), ("datasets", unused)}
    for path, status in (
        (f"/training-jobs/{old}", 404),
        (f"/training-jobs/{queued}", 200),
        (f"/compositions/{composition.id}", 200),
        (f"/compositions/{other.id}", 404),
        (f"/exports/{export.id}", 200),
        (f"/datasets/{used}", 200),
        (f"/datasets/{unused}", 404),
    ):
        assert api.get(path).status_code == status, path


def test_a_job_leaves_nothing_in_redis(api: TestClient, services: Services, empty_redis: redis.Redis) -> None:
    job = ended(api, services, dataset(api, "old"))
    services.redis.set(f"{keys.NEXT_SEED}gone@1>=0.2\npits", 5)
    services.redis.set(keys.next_type("gone@1"), 5)
    assert deleted(services, "jobs:0s") == {("jobs", job)}
    left = [key for key in empty_redis.scan_iter() if job.encode() in key or b"gone@1" in key]
    assert left == [keys.job_deleted(job).encode()]
    assert not any(job.encode() in each for each in empty_redis.smembers(keys.CHANGED_JOBS))
    assert not services.store.path("jobs", job).exists()


def test_the_history_outlives_checkpoints_and_the_newest_grid_the_others(api: TestClient, services: Services) -> None:
    job = ended(api, services, dataset(api, "old"))
    history = api.get(f"/training-jobs/{job}/history").json()
    assert deleted(services, "checkpoints:0s,samples:0s") == {("checkpoints", job), ("samples", job)}
    assert api.get(f"/training-jobs/{job}/history").json() == history and len(history["steps"]) == 5
    assert api.get(f"/training-jobs/{job}/samples/3.png").status_code == 404
    assert api.get(f"/training-jobs/{job}/samples/latest.png").content == photograph(5)
    assert JobFolder(services.store, job).checkpoint_step() == 0
    assert deleted(services, "checkpoints:0s,samples:0s") == set()  # there is nothing left
    assert api.post(f"/training-jobs/{job}/resume").status_code == 202


def test_versions_in_use_stay_with_their_photographs_and_jobs(api: TestClient, services: Services) -> None:
    photographs = {name: dataset(api, name, 50 * number) for number, name in enumerate(("a", "b", "c"))}
    digests = {name: services.datasets.get(each).digest for name, each in photographs.items()}
    registry, jobs = services.registry, [ended(api, services, photographs["c"]) for _ in range(2)]
    for number, (job, name) in enumerate(
        [(jobs[0], "a"), ("job-2", "b"), ("job-3", "c"), (jobs[1], "b"), ("job-5", "c")], 1
    ):
        verdict = FAILING if number == 5 else GOOD
        publish(registry, job, dataset_digest=digests[name], verdict=verdict, config={"init_from": None})
    registry.set_alias("scratches", "stable", 1)
    queued = train(api, photographs["c"], model="other")
    services.redis.set("unrelated", 1)
    labelling = Labelling(job="labelling-1", source="masks", masks=1, boxes=0)
    publish(registry, "job-6", parent="scratches@2", labelling=labelling, verdict=FAILING, dataset_digest="none")
    gone = deleted(services, EVERYTHING)
    # 1 has an alias, 2 is the parent of 6, and 4 is what the bare name means.
    assert {each for kind, each in gone if kind == "versions"} == {"scratches@3", "scratches@5", "scratches@6"}
    assert {each for kind, each in gone if kind == "datasets"} == set()  # c is that of the queued job
    assert not {each for kind, each in gone if kind == "jobs"} & {*jobs, queued}
    events = (services.store.root / "audit.jsonl").read_text().splitlines()
    assert [json.loads(each)["caller"] for each in events if "version_deleted" in each] == ["retention"] * 3
    # Now that 6 is gone, nothing came of 2.
    assert ("versions", "scratches@2") in deleted(services, "versions:0s")
    api.post(f"/training-jobs/{queued}/cancel")
    assert deleted(services, "datasets:0s") == {("datasets", photographs["c"])}


def test_bytes_are_bounded_and_the_oldest_go_first(api: TestClient, services: Services) -> None:
    of = dataset(api, "set")
    jobs = [ended(api, services, of) for _ in range(3)]
    assert deleted(services, "checkpoints:4900B") == {("checkpoints", jobs[0])}
    assert deleted(services, "checkpoints:1GB,jobs:30d,datasets:30d") == set()
    assert [JobFolder(services.store, each).checkpoint_step() for each in jobs] == [0, 5, 5]


def test_what_comes_into_use_meanwhile_stays(
    api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, found = ended(api, services, dataset(api, "set")), Inventory.due

    def then_resumed(*arguments: Any) -> Any:
        removals = found(*arguments)
        assert api.post(f"/training-jobs/{job}/resume").status_code == 202
        return removals

    monkeypatch.setattr(Inventory, "due", then_resumed)
    assert deleted(services, "jobs:0s,checkpoints:0s,datasets:0s") == set()
    assert JobFolder(services.store, job).checkpoint_step() == 5


def test_it_runs_by_itself(make_api: Callable[..., TestClient]) -> None:
    api = make_api(retention="jobs:0s", gc_hours=0.0001)
    services: Services = api.app.state.services  # type: ignore[attr-defined]
    job, stop = ended(api, services, dataset(api, "set")), threading.Event()
    try:
        start_retention(services, stop)
        until(lambda: api.get(f"/training-jobs/{job}").status_code == 404, 20, "the job is deleted")
        later = ended(api, services, "set")
        until(lambda: api.get(f"/training-jobs/{later}").status_code == 404, 20, "so is the next one")
    finally:
        stop.set()


def test_the_command_says_what_it_would_delete_and_deletes_it(api: TestClient, services: Services) -> None:
    job = ended(api, services, dataset(api, "set"))

    def gc(*arguments: str) -> subprocess.CompletedProcess[str]:
        settings = {"data_dir": str(services.settings.data_dir), "redis_url": str(services.settings.redis_url)}
        return flawsmith("gc", *arguments, cwd=services.settings.data_dir, **settings)

    tried = gc("--dry-run", "--rules", "jobs:0s", "--json")
    assert (tried.returncode, [each["id"] for each in json.loads(tried.stdout)]) == (0, [job])
    assert "would delete 1 thing" in gc("--dry-run", "--rules", "jobs:0s").stderr
    assert api.get(f"/training-jobs/{job}").status_code == 200
    unset = gc()
    assert (unset.returncode, unset.stdout) == (0, "") and "FLAWSMITH_RETENTION is not set" in unset.stderr
    wrong = gc("--rules", "jobs")
    assert wrong.returncode == 2 and "jobs:90d" in wrong.stderr
    done = gc("--rules", "jobs:0s")
    assert done.returncode == 0 and done.stdout.startswith(f"jobs\t{job}\t")
    assert api.get(f"/training-jobs/{job}").status_code == 404
