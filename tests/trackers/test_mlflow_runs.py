"""What MLflow's client is told of a server with a password. `tests/service/test_trackers.py` has a real server."""

import base64

import pytest
from tests.client.stand_in import Call, Reply, answering

from flawsmith.core.domain.job_kinds.training import KIND, TrainingJob, TrainingProgress
from flawsmith.trackers.facts import Facts


def test_a_password_is_sent_as_such_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # what the tracker sets is taken back after the test
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    from flawsmith.trackers.mlflow_runs import MlflowRuns

    def refuse(number: int, call: Call) -> Reply:
        return Reply(403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}')

    job = KIND.new_job(config={}, progress=TrainingProgress(total_steps=1), model="m", dataset="ds-1", preset="dcgan")
    assert isinstance(job, TrainingJob)
    with answering(refuse) as server:
        tracker = MlflowRuns(server.url.replace("://", "://reader:se%40same@"), "steel")
        with pytest.raises(Exception, match="PERMISSION_DENIED") as refused:
            tracker.begin(Facts(job))
    sent = server.calls[0].headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == "reader:se@same"
    assert "same" not in str(refused.value)
