"""The comparison of two versions: made by a job the first time, and there at once later."""

import json

import pytest
from tests.client.both import Run, both
from tests.client.stand_in import Call, Reply, answering

VERDICT = {"state": "good", "sentence": "Like photographs.", "reasons": []}
FOUND = {
    "versions": ["steel@2", "steel@1"],
    "dataset": "ds-1",
    "created_at": "2026-01-01T00:00:00.000Z",
    "leading": "combined",
    "measures": [],
    "verdicts": [VERDICT, {**VERDICT, "state": "failing"}],
    "sentence": "steel@2 is nearer.",
    "notes": [],
}
JOB = {
    "id": "comparison-1",
    "state": "running",
    "progress": {"step": 1, "total_steps": 3},
    "created_at": "2026-01-01T00:00:00.000Z",
}
ENDED = {**JOB, "state": "succeeded"}
EVENTS = """id: 1
event: progress
data: {"progress": {"step": 2, "total_steps": 3}}

id: 2
event: state
data: {"state": "succeeded"}

"""


@both
def test_a_comparison_is_waited_for(run: Run) -> None:
    ended: list[bool] = []

    def answer(number: int, call: Call) -> Reply:
        if call.path.endswith("/events"):
            ended.append(True)
            return Reply(200, EVENTS.encode(), kind="text/event-stream")
        if call.path.startswith("/comparisons/"):
            return Reply(200, json.dumps(ENDED if ended else JOB).encode())
        return Reply(200, json.dumps(FOUND).encode()) if ended else Reply(202, json.dumps(JOB).encode())

    told: list[tuple[int, int]] = []
    with answering(answer) as service:
        found = run(service.url, "compare", "steel@2", "steel@1", dataset="a", on_progress=lambda *at: told.append(at))
    assert service.calls[0].path == "/models/steel/versions/2/compare?with=1&dataset=a"
    assert (found.sentence, [each.state for each in found.verdicts]) == ("steel@2 is nearer.", ["good", "failing"])
    assert told == [(2, 3)]


@both
def test_versions_of_two_models_are_not_compared(run: Run) -> None:
    with pytest.raises(ValueError, match="versions of one model"):
        run("http://127.0.0.1:9", "compare", "steel@2", "iron@1")
