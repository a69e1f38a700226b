"""What a submission can set: priority, length, patience, the version to start from, determinism."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import SMALL_JOB, Service, photograph, start_service, stop_service, until, zipped
from tests.tiny_priors import TINY, write_tiny_prior

MANY = 1_000_000  # steps; no test waits for so many


@pytest.fixture(scope="module")
def short_segments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with one worker, segments of a second, and a prior for tiny networks."""
    priors = tmp_path_factory.mktemp("priors")
    write_tiny_prior(priors)
    service = start_service(tmp_path_factory.mktemp("short-segments"), segment_seconds="1", priors_dir=str(priors))
    service.upload("set", zipped({f"{i}.png": photograph(i) for i in range(8)}))
    yield service
    stop_service(service)


def submit(service: Service, model: str, **body: Any) -> str:
    answer = service.client.post("/training-jobs", json={"dataset": "set", "model": model, **SMALL_JOB, **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def step_of(service: Service, job: str) -> int:
    return int(service.client.get(f"/training-jobs/{job}").json()["progress"]["step"])


def test_a_job_of_higher_priority_runs_first_and_the_others_continue_after_it(short_segments: Service) -> None:
    ordinary = [submit(short_segments, f"ordinary-{number}", steps=MANY) for number in range(2)]
    until(lambda: all(step_of(short_segments, job) for job in ordinary), 20, "both have run")
    urgent = submit(short_segments, "urgent", steps=MANY, priority=5)
    until(lambda: step_of(short_segments, urgent), 10, "the urgent job runs")
    before = [step_of(short_segments, job) for job in ordinary]
    reached = step_of(short_segments, urgent)
    until(lambda: step_of(short_segments, urgent) > 2 * reached, 20, "it runs several segments in a row")
    assert [step_of(short_segments, job) for job in ordinary] == before
    short_segments.client.post(f"/training-jobs/{urgent}/cancel")
    until(
        lambda: all(step_of(short_segments, job) > step for job, step in zip(ordinary, before, strict=True)),
        20,
        "they continue",
    )
    for job in ordinary:
        short_segments.client.post(f"/training-jobs/{job}/cancel")


def test_a_job_starts_from_the_prior_in_its_worker_and_ends_as_ever(short_segments: Service) -> None:
    body = {"preset": "fewshot", "resolution": 32, "overrides": TINY, "steps": MANY, "max_seconds": 2.5}
    job = short_segments.ended(submit(short_segments, "from-prior", **body))
    assert (job["state"], job["stop_reason"]) == ("succeeded", "max_seconds")
    assert job["notes"] == ["starts from the prior for 32 px gray, learned from drawn surfaces"]
    card = short_segments.client.get("/models/from-prior/versions/1").json()
    assert (card["config"]["start"], card["config"]["prior"]) == ("prior", job["config"]["prior"])
    dry = short_segments.client.post(
        "/training-jobs?dry_run=true", json={"dataset": "set", "model": "m", **body}
    ).json()
    assert dry["estimate"]["based_on"].endswith("as no job was recorded here"), "2.5 seconds tell no speed"
    assert dry["estimate"]["seconds"] <= 2.5
    assert job["progress"]["trained_seconds"] >= 2.5


def test_a_job_ends_after_max_seconds_and_publishes_its_best_step(short_segments: Service) -> None:
    job = short_segments.ended(submit(short_segments, "short-of-time", steps=MANY, max_seconds=2.5))
    assert (job["state"], job["stop_reason"]) == ("succeeded", "max_seconds")
    card = short_segments.client.get("/models/short-of-time/versions/1").json()
    history = short_segments.client.get(f"/training-jobs/{job['id']}/history").json()
    by_step = dict(zip(history["steps"], history["series"]["distance"], strict=True))
    assert card["distance"] == by_step[card["step"]] == min(each for each in by_step.values() if each is not None)
    assert short_segments.client.get(f"/training-jobs/{job['id']}/samples/{card['step']}.png").status_code == 200
    assert job["progress"]["eta_seconds"] == 0
    assert any("do not look like the photographs yet" in reason for reason in job["health"]["reasons"])


def test_a_job_ends_when_its_patience_is_exhausted(short_segments: Service) -> None:
    job = short_segments.ended(submit(short_segments, "patient", steps=500, patience=2))
    assert (job["state"], job["stop_reason"]) == ("succeeded", "patience")
    history = short_segments.client.get(f"/training-jobs/{job['id']}/history").json()
    distances = [each for each in history["series"]["distance"] if each is not None]
    assert distances.index(min(distances)) == len(distances) - 3
    assert history["steps"][-1] < 500


def test_a_job_starts_from_a_published_version(short_segments: Service) -> None:
    assert short_segments.train("set", "origin", steps=40)["state"] == "succeeded"
    rates = {"generator_learning_rate": 1e-12, "discriminator_learning_rate": 1e-12}
    job = short_segments.ended(
        submit(short_segments, "heir", init_from="origin@1", overrides={"batch_size": 4, **rates}, steps=1)
    )
    assert job["state"] == "succeeded", job
    assert job["config"]["init_from"] == "origin@1"
    assert job["config"]["generator_depth"] == SMALL_JOB["overrides"]["generator_depth"]  # type: ignore[index]
    theirs, ours = (
        short_segments.client.get(f"/models/{name}/versions/1").json()["distance"] for name in ("origin", "heir")
    )
    assert ours == pytest.approx(theirs, rel=0.2)


@pytest.mark.parametrize(
    ("body", "pointer", "word"),
    [
        ({"init_from": "nowhere@1"}, "/init_from", "nowhere"),
        ({"init_from": "origin@9"}, "/init_from", "9"),
        ({"init_from": "origin@1", "resolution": 64}, "/resolution", "32"),
        ({"init_from": "origin@1", "overrides": {"latent_size": 7}}, "/overrides/latent_size", "100"),
        ({"init_from": "origin@1", "preset": "fewshot"}, "/preset", "dcgan"),
        ({"priority": 10}, "/priority", "9"),
        ({"max_seconds": 0}, "/max_seconds", "0"),
        ({"patience": 0}, "/patience", "1"),
    ],
)
def test_a_body_that_cannot_train_is_refused_with_a_pointer(
    short_segments: Service, body: dict[str, Any], pointer: str, word: str
) -> None:
    if short_segments.client.get("/models/origin").status_code == 404:
        short_segments.train("set", "origin")
    sent = {"dataset": "set", "model": "refused", "preset": "dcgan", "resolution": 32, "steps": 1, **body}
    answer = short_segments.client.post("/training-jobs", json=sent)
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["pointer"] == pointer
    assert word in problem["detail"]


def test_a_deterministic_job_repeated_gives_the_same_weights(short_segments: Service) -> None:
    jobs = [short_segments.train("set", f"again-{number}", steps=20, deterministic=True) for number in range(2)]
    assert [job["state"] for job in jobs] == ["succeeded"] * 2
    digests = {short_segments.client.get(f"/models/again-{n}/versions/1").json()["weights_sha256"] for n in range(2)}
    assert len(digests) == 1


def test_a_job_whose_checkpoint_a_later_release_wrote_fails_on_resume_and_nothing_is_moved(
    short_segments: Service,
) -> None:
    job = submit(short_segments, "from-later", steps=MANY)
    path, folder = f"/training-jobs/{job}", short_segments.data_dir / "artifacts" / "jobs" / job
    until(lambda: short_segments.client.get(path).json()["checkpoint_step"], 30, "the job has a checkpoint")
    short_segments.client.post(f"{path}/cancel")
    until(lambda: not short_segments.has_lease(job), 20, "its worker has left it")
    newest = max((folder / "checkpoints").glob("*/checkpoint.json"))
    card = json.loads(newest.read_bytes())
    newest.write_text(json.dumps(card | {"format": card["format"] + 1}))
    before = contents(folder / "checkpoints")

    assert short_segments.client.post(f"{path}/resume").status_code == 202
    ended = short_segments.ended(job)

    assert ended["state"] == "failed"
    step, found = int(newest.parent.name), card["format"] + 1
    assert ended["error"].startswith(f"checkpoint {step:09d} has format {found}, and this release reads up to")
    assert "Run that release or a later one" in ended["error"]
    assert contents(folder / "checkpoints") == before
    assert not (folder / "damaged").exists()

    newest.write_text(json.dumps(card))  # as the release would that can read it
    short_segments.client.post(f"{path}/resume")
    until(lambda: step_of(short_segments, job) > step, 30, "the job trains on")
    short_segments.client.post(f"{path}/cancel")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
