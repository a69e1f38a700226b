"""What POST /training-jobs says of `devices`, before anything is queued."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from flawsmith.core.live.task_queues import SAMPLE, TRAIN, announce, withdraw
from flawsmith.core.services import Services

BODY: dict[str, Any] = {"dataset": "set", "model": "m", "resolution": 32}

pytestmark = pytest.mark.usefixtures("dataset", "lasting_heartbeats")


def submitted(api: TestClient, query: str = "", **changes: Any) -> dict[str, Any]:
    answer = api.post(f"/training-jobs{query}", json={**BODY, **changes})
    assert answer.status_code == (200 if query else 202), answer.text
    return dict(answer.json())


def refused(api: TestClient, **changes: Any) -> str:
    for query in ("", "?dry_run=true"):
        answer = api.post(f"/training-jobs{query}", json={**BODY, **changes})
        assert answer.status_code == 422, answer.text
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/devices"]
    return str(answer.json()["errors"][0]["detail"])


def test_a_job_on_several_devices_says_so_and_is_configured_as_on_one(api: TestClient) -> None:
    one, two = submitted(api), submitted(api, devices=2, overrides={"batch_size": 15})
    assert (one["devices"], one["device_use"], two["devices"], two["device_use"]) == (1, None, 2, None)
    assert two["config"] == one["config"] | {
        name: two["config"][name] for name in ("batch_size", "steps_per_epoch", "total_steps", "epochs")
    }
    assert not any("devices" in note for note in one["notes"])
    assert "record no CUDA graph" in two["notes"][-1]
    assert two["notes"][-2].startswith("trains on up to 2 devices, with 7 or 8 of the 15 photographs of a step on each")


def test_a_dry_run_says_it_and_counts_the_memory_of_all_processes(api: TestClient) -> None:
    one, two = (submitted(api, "?dry_run=true", devices=count) for count in (1, 2))
    assert any(note.startswith("trains on up to 2 devices") for note in two["notes"])
    assert two["estimate"]["memory_bytes"] > 2 * one["estimate"]["memory_bytes"]
    assert two["estimate"]["seconds"] == one["estimate"]["seconds"]
    assert two["estimate"]["based_on"].endswith("on one device, as no job on several was recorded")


def test_more_devices_than_a_live_worker_has_are_refused_with_what_there_are(
    api: TestClient, services: Services
) -> None:
    submitted(api, devices=8)  # no worker is live: one that starts later may have as many
    announce(services.redis, TRAIN, "one", "host:1")
    announce(services.redis, SAMPLE, "many", "host:2", devices=8)
    assert "no live training worker has 2 devices, the most is one device: choose at most 1" in refused(api, devices=2)
    announce(services.redis, TRAIN, "two", "host:3", devices=4)
    submitted(api, devices=4)
    assert "has 5 devices, the most is 4 devices: choose at most 4" in refused(api, devices=5)
    withdraw(services.redis, TRAIN, "two")
    assert "the most is one device" in refused(api, devices=2)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"devices": 0}, "greater than or equal to 1"),
        ({"devices": 65}, "less than or equal to 64"),
        ({"devices": "two"}, "integer"),
        ({"devices": 2, "deterministic": True}, "a deterministic job needs"),
        ({"devices": 5, "overrides": {"batch_size": 4}}, "batch_size is 4: choose at most 4 devices"),
    ],
)
def test_what_cannot_be_is_refused(api: TestClient, body: dict[str, Any], words: str) -> None:
    assert words in refused(api, **body)
