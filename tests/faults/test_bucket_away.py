"""An artifact store in a bucket whose server goes away, is slow, or fails now and then, while a job trains."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import photograph, until, zipped
from tests.faults.conftest import PrintFigure, StartCluster
from tests.s3_server import BUCKET, ENVIRONMENT, FaultyProxy, s3_server


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Stands between an S3 server and the service."""
    with s3_server() as address:
        proxy = FaultyProxy(address)
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": proxy.address}.items():
            monkeypatch.setenv(name, value)
        yield proxy
        proxy.close()


def test_a_job_waits_for_a_bucket_that_is_away_and_ends_as_if_nothing_had_been(
    tmp_path: Path, proxy: FaultyProxy, start_cluster: StartCluster, full_length: bool, print_figure: PrintFigure
) -> None:
    cluster = start_cluster(tmp_path, workers=1, artifact_store=f"s3://{BUCKET}/site")
    client, steps = cluster.service.client, cluster.steps if full_length else cluster.steps // 16
    undisturbed = cluster.outcome(cluster.submit("undisturbed", steps=steps))
    job = cluster.submit("bucket-away", steps=steps)
    pid = cluster.wait_for_worker(job)
    proxy.fault = lambda method, path: "refuse"
    begun = time.monotonic()
    until(lambda: client.get("/readyz").json().get("missing") == ["artifact store"], 20, "the service says so")
    answer = client.post(
        "/datasets", data={"name": "late"}, files={"archive": zipped({f"{n}.png": photograph(n) for n in range(3)})}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json"), answer.text
    assert "artifact store" in answer.json()["detail"] and "127.0.0.1" not in answer.text
    cluster.end_worker(pid)  # who finds that out cannot even read how far the job was
    time.sleep(60 if full_length else 8)
    assert cluster.job(job)["state"] == "running"
    away = time.monotonic() - begun
    turns = itertools.count()
    proxy.fault = lambda method, path: {0: "slow down", 10: "lose"}.get(next(turns) % 20)
    until(cluster.service.ready, 30, "the service is ready again")
    assert cluster.outcome(job) == undisturbed
    record = cluster.job(job)
    print_figure(f"bucket away for {away:.0f} s, then every tenth request failed: {len(proxy.requests)} requests")
    assert record["failures"]["errors"] == 0, record["failures"]
