"""GET /metrics: its forms, the state of the service, and what becomes no label."""

import pytest
import redis
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from starlette.testclient import TestClient
from tests.conftest import SMALL_JOB

from flawsmith.app import quality_metrics
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live.task_queues import SAMPLE, announce
from flawsmith.core.metrics import OPENMETRICS
from flawsmith.core.services import Services


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first scrape waits for what is read in another thread, also on a busy machine."""
    monkeypatch.setattr(quality_metrics, "LONGEST_WAIT", 20.0)


def values(api: TestClient, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a metric by the values of their labels, in the order of the labels' names."""
    families = parse_text(api.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels[each] for each in sorted(sample.labels)): sample.value for sample in samples}


@pytest.mark.parametrize("accept", [OPENMETRICS, f"{OPENMETRICS};version=one\x7f, */*", f"{OPENMETRICS}; version=9.9"])
def test_openmetrics_is_whole_where_it_is_asked_for(api: TestClient, accept: str) -> None:
    answer = api.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    names = {family.name for family in parse_openmetrics(answer.text)}  # raises ValueError for what is not well formed
    assert {"flawsmith_build", "flawsmith_jobs", "flawsmith_disk_free_bytes", "flawsmith_redis_up"} <= names


@pytest.mark.parametrize("accept", ["", "*/*", "image/png", "text/html", ";;q"])
def test_everybody_else_gets_the_text_format(api: TestClient, accept: str) -> None:
    answer = api.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'flawsmith_jobs{kind="training",state="queued"} 0.0' in answer.text


def test_requests_for_images_are_counted_by_outcome(api: TestClient, version: ModelVersion) -> None:
    def counts() -> dict[tuple[str, ...], float]:
        return values(api, "flawsmith_generate_requests_total")

    before = counts()
    assert api.post("/generate", json={"model": "steel@1"}).status_code == 503  # no worker
    assert api.post(
        "/generate?data=false", json={"model": "steel@1"}, headers={"Accept": "application/json"}
    ).is_success
    after = counts()
    changed = {labels: after[labels] - before[labels] for labels in after if after[labels] != before[labels]}
    assert changed == {("unavailable", "none"): 1, ("served", "addresses"): 1}


def test_jobs_queues_and_the_oldest_segment_are_shown(api: TestClient, job: str, services: Services) -> None:
    assert values(api, "flawsmith_jobs")["training", "queued"] == 1
    assert values(api, "flawsmith_queue_messages")["train",] == 1
    assert 0 <= values(api, "flawsmith_queue_oldest_age_seconds")["train",] < 60
    announce(services.redis, SAMPLE, "sample-1", "")
    assert values(api, "flawsmith_workers")["sample", "idle"] == 1


def test_a_running_job_has_its_progress_and_its_worker(api: TestClient, job: str, services: Services) -> None:
    with services.jobs.lease(job) as lease:
        assert lease is not None
        services.jobs.begin(lease, "train-1")
        services.jobs.report(lease, {"losses": {"generator": 0.5}})
        assert values(api, "flawsmith_running_job_info") == {(job, "training", "steel", "train-1"): 1}
        assert values(api, "flawsmith_running_job_total_steps") == {(job,): SMALL_JOB["steps"]}
        assert values(api, "flawsmith_running_job_loss") == {(job, "generator"): 0.5}
        services.jobs.cancel(job)
    assert values(api, "flawsmith_running_job_info") == {}  # nothing of a job stays


def test_names_that_strangers_make_up_are_no_labels(api: TestClient) -> None:
    for number in range(3):
        api.get(f"/made-up-{number}")
        api.post("/generate", json={"model": f"made-up-{number}"})
        api.get(f"/models/made-up-{number}/versions/1/images/5.png")
    assert "made-up" not in api.get("/metrics").text


def test_without_redis_the_rest_is_shown(api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise redis.exceptions.ConnectionError

    monkeypatch.setattr(services.redis, "execute_command", away)
    found = api.get("/metrics")
    assert found.status_code == 200
    assert 'flawsmith_redis_up{server="main"} 0.0' in found.text
    assert "flawsmith_disk_free_bytes" in found.text
    assert "flawsmith_jobs{" not in found.text
