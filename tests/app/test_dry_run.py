"""POST /training-jobs?dry_run=true says what a job would be and take, and enqueues nothing."""

import io
from typing import Any, cast

import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.services import Services

BODY: dict[str, Any] = {"dataset": "set", "model": "m", "resolution": 64}


@pytest.fixture(autouse=True)
def dataset(api: TestClient) -> None:
    upload(api, "set", 200)


def upload(api: TestClient, name: str, side: int) -> None:
    files = {f"pits/{number}.png": photograph(number, side) for number in range(3)}
    assert api.post("/datasets", data={"name": name}, files={"archive": zipped(files)}).status_code == 201


def tried(api: TestClient, **changes: Any) -> Any:
    answer = api.post("/training-jobs?dry_run=true", json={**BODY, **changes})
    assert answer.status_code == 200, answer.text
    return answer.json()


def record(
    services: Services,
    config: dict[str, Any],
    rate: float | None,
    preset: str = "fewshot",
    devices: int = 1,
    steps: int | None = None,
) -> None:
    """Records a job that trained so fast; None: it has not begun. Without ``steps`` it is one of an earlier release."""
    progress = TrainingProgress(total_steps=1, images_per_second=rate)
    if steps and rate:
        seconds = steps * config["batch_size"] / rate
        progress = TrainingProgress(step=steps, total_steps=steps, images_per_second=0.1, trained_seconds=seconds)
    services.jobs.create(
        KIND.new_job(
            config=config,
            progress=progress,
            model="m",
            dataset="ds-1",
            preset=preset,
            devices=devices,
        )
    )


def test_it_answers_with_the_job_that_would_be_and_enqueues_nothing(api: TestClient) -> None:
    dry = tried(api, max_seconds=150)
    assert api.get("/training-jobs").json()["items"] == []
    job = api.post("/training-jobs", json={**BODY, "max_seconds": 150}).json()
    assert {name: dry[name] for name in ("config", "notes", "health", "model", "dataset", "preset")} == {
        name: job[name] for name in ("config", "notes", "health", "model", "dataset", "preset")
    }
    assert 0 < dry["estimate"]["seconds"] <= 150
    assert dry["estimate"]["memory_bytes"] > 100e6
    assert 1e6 < dry["estimate"]["disk_bytes"] < 1e9
    assert "as no job was recorded here" in dry["estimate"]["based_on"]


def test_recorded_jobs_with_the_same_networks_tell_the_speed(api: TestClient, services: Services) -> None:
    config = tried(api)["config"]
    for rate in (10.0, 20.0, 60.0):
        record(services, config, rate)
    found = tried(api, steps=100)["estimate"]
    assert found["images_per_second"] == 20
    assert found["seconds"] == pytest.approx(100 * config["batch_size"] / 20)
    assert found["based_on"] == "the speed of the 3 newest jobs of this installation with the same networks"


def test_the_speed_is_that_of_whole_runs_and_not_of_a_few_first_steps(api: TestClient, services: Services) -> None:
    config = tried(api)["config"]
    record(services, config, 40.0, steps=200)
    for steps in (1, 3, 10):
        record(services, config, 2.0, steps=steps)
    record(services, config, 800.0, steps=100)  # in two seconds, of which the tests of the photographs are the most
    found = tried(api, steps=100)["estimate"]
    assert found["images_per_second"] == pytest.approx(40)
    assert found["based_on"] == "the speed of the newest job of this installation with the same networks"


def test_the_speed_of_other_networks_is_converted(api: TestClient, services: Services) -> None:
    record(services, tried(api)["config"], 100.0)
    larger = tried(api, overrides={"generator_width": 32, "discriminator_width": 64})["estimate"]
    assert 20 < larger["images_per_second"] < 34  # both widths doubled: nearly four times the multiplications
    assert "with other networks, converted" in larger["based_on"]
    higher = tried(api, resolution=256)["estimate"]
    assert higher["images_per_second"] < 50
    assert higher["memory_bytes"] > tried(api)["estimate"]["memory_bytes"]


@pytest.mark.parametrize("changes", [{"deterministic": True}, {"overrides": {"cuda_graph": False}}])
def test_the_same_networks_computed_in_another_way_are_other_ones(
    api: TestClient, services: Services, changes: dict[str, Any]
) -> None:
    record(services, tried(api)["config"], 3000.0)
    assert "with the same networks" in tried(api)["estimate"]["based_on"]
    assert "with the same networks" not in tried(api, **changes)["estimate"]["based_on"]
    record(services, tried(api, **changes)["config"], 300.0)
    assert tried(api, **changes)["estimate"]["images_per_second"] == 300
    assert tried(api)["estimate"]["images_per_second"] == 3000


@pytest.mark.parametrize(("rate", "preset"), [(None, "fewshot"), (20.0, "dcgan")])
def test_on_several_devices_only_jobs_that_tell_the_speed_count(
    api: TestClient, services: Services, rate: float | None, preset: str
) -> None:
    record(services, tried(api)["config"], 100.0)
    record(services, tried(api, preset=preset)["config"], rate, preset, devices=2)
    found = tried(api, devices=2)["estimate"]
    assert found["images_per_second"] == 100
    assert found["based_on"].endswith("on one device, as no job on several was recorded")
    record(services, tried(api)["config"], 180.0, devices=2)
    assert tried(api, devices=2)["estimate"]["images_per_second"] == 180


def test_records_of_earlier_releases_are_read(api: TestClient, services: Services) -> None:
    record(services, {"resolution": 64, "average_images": 10_000}, 100.0)
    assert "as no job was recorded here" in tried(api)["estimate"]["based_on"]


def test_what_cannot_train_is_refused_as_ever(api: TestClient) -> None:
    refused = api.post("/training-jobs?dry_run=true", json={**BODY, "resolution": 48})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/resolution")
    assert api.post("/training-jobs?dry_run=perhaps", json=BODY).status_code == 422


@pytest.mark.parametrize(
    ("changes", "headers", "words"),
    [
        ({"webhook": {"url": "http://127.0.0.1/x"}}, {}, "FLAWSMITH_WEBHOOK_SECRETS"),
        ({}, {"Idempotency-Key": "k" * 256}, "1 to 255 characters"),
        ({}, {"Idempotency-Key": ""}, "1 to 255 characters"),
        ({"init_from": ""}, {}, "/init_from"),
        ({"init_from": "", "start": "prior"}, {}, "/init_from"),
        ({"overrides": None}, {}, "must be a JSON object"),
        ({"model": "-"}, {}, "a name has 1 to 64 letters"),
        ({"epochs": 1, "steps": 1}, {}, "body: epochs and steps are two ways"),
    ],
)
def test_it_refuses_what_the_call_itself_refuses(
    api: TestClient, changes: dict[str, Any], headers: dict[str, str], words: str
) -> None:
    answers = [
        api.post(f"/training-jobs{query}", json={**BODY, **changes}, headers=headers) for query in ("?dry_run=true", "")
    ]
    assert answers[0].status_code == answers[1].status_code >= 400
    assert answers[0].json() == answers[1].json()
    assert words in answers[0].text
    assert api.get("/training-jobs").json()["items"] == []


def test_it_does_not_use_up_an_idempotency_key(api: TestClient) -> None:
    key = {"Idempotency-Key": "steel-1"}
    assert api.post("/training-jobs?dry_run=true", json=BODY, headers=key).status_code == 200
    made = api.post("/training-jobs", json={**BODY, "seed": 1}, headers=key)
    assert made.status_code == 202
    assert api.post("/training-jobs", json={**BODY, "seed": 1}, headers=key).json() == made.json()
    assert cast(Any, api.post("/training-jobs?dry_run=true", json=BODY, headers=key).json()).get("id") is None


@pytest.mark.parametrize(
    ("side", "max_seconds", "resolution", "note"),
    [
        (40, None, 32, "resolution 32, not 128: the photographs have 40 px at most"),
        (64, None, 64, "resolution 64, not 128: the photographs have 64 px at most"),
        (200, None, 128, "resolution 128, the default of preset 'fewshot'"),
        (200, 300, 128, "resolution 128, the default of preset 'fewshot'"),
        (200, 60, 64, "resolution 64, not 128: 'max_seconds' is short for more"),
        (
            300,
            None,
            128,
            "resolution 128, the default of preset 'fewshot'; the photographs have up to 300 px, so 256 shows more of "
            "them and takes longer",
        ),
    ],
)
def test_a_job_without_a_resolution_says_which_it_has_and_why(
    api: TestClient, side: int, max_seconds: float | None, resolution: int, note: str
) -> None:
    upload(api, "other", side)
    dry = tried(api, dataset="other", resolution=None, max_seconds=max_seconds)
    assert dry["config"]["resolution"] == resolution
    assert dry["notes"][0] == note
    assert not any(each.startswith("resolution") for each in tried(api, dataset="other")["notes"])


def test_photographs_lying_and_standing_have_no_square_of_their_long_sides(api: TestClient) -> None:
    files = dict[str, bytes]()
    for number, size in enumerate([(60, 200), (200, 60), (50, 300)]):
        file = io.BytesIO()
        Image.open(io.BytesIO(photograph(number, 300))).crop((0, 0, *size)).save(file, "PNG")
        files[f"pits/{number}.png"] = file.getvalue()
    answer = api.post("/datasets", data={"name": "mixed"}, files={"archive": zipped(files)})
    assert (answer.status_code, answer.json()["square"]) == (201, 60)
    dry = tried(api, dataset="mixed", resolution=None)
    assert dry["config"]["resolution"] == 32
    assert dry["notes"][0] == "resolution 32, not 128: the photographs have 60 px at most"


def test_photographs_that_are_cut_into_squares_are_said_to_be(api: TestClient) -> None:
    note = "cuts squares of 32 px out of the photographs at their own scale, as they are more than 4 times as large"
    assert note in " ".join(tried(api, resolution=32)["notes"])
    for kept in ({"resolution": 64}, {"resolution": 32, "crop": {"around": "middle"}}):
        assert not any("squares" in each for each in tried(api, **kept)["notes"])


def test_photographs_that_are_enlarged_are_said_to_be(api: TestClient) -> None:
    upload(api, "small", 40)
    words = "the photographs have 40 px at most and are enlarged to 128: resolution 32 shows as much in less time"
    assert any(each.startswith(words) for each in tried(api, dataset="small", resolution=128)["notes"])
    assert not any("enlarged" in each for each in tried(api, dataset="small", resolution=32)["notes"])
