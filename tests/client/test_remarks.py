"""Notes and tags: what is left out stays, and lists are narrowed by them."""

import json

from tests.client.both import Run, both
from tests.client.stand_in import Call, Reply, answering

JOB = {
    "id": "job-1",
    "state": "queued",
    "progress": {},
    "created_at": "2026-01-01T00:00:00.000Z",
    "note": None,
    "tags": ["a"],
}
LIST = Reply(200, b'{"items": [], "next_cursor": null}')


@both
def test_only_what_is_given_is_sent(run: Run) -> None:
    with answering(lambda *_: Reply(200, json.dumps(JOB).encode())) as service:
        assert run(service.url, "remark_job", "job-1", note="").tags == ["a"]
        run(service.url, "remark_job", "export-1", tags=())
        run(service.url, "remark_job", "job-1", add_tags=["b"], remove_tags=["c"])
    assert [(call.method, call.path, json.loads(call.body)) for call in service.calls] == [
        ("PATCH", "/training-jobs/job-1", {"note": ""}),
        ("PATCH", "/exports/export-1", {"tags": []}),
        ("PATCH", "/training-jobs/job-1", {"add_tags": ["b"], "remove_tags": ["c"]}),
    ]


@both
def test_lists_are_narrowed(run: Run) -> None:
    def answer(number: int, call: Call) -> Reply:
        return LIST

    with answering(answer) as service:
        run(service.url, "jobs", "export", tags=["a", "b"], search="new lamp")
        run(service.url, "versions", "steel", tags=["a"])
        run(service.url, "models", search="lamp")
    assert [call.path.partition("?")[2] for call in service.calls] == [
        "limit=100&tag=a%2Cb&search=new+lamp",
        "limit=100&tag=a",
        "limit=100&search=lamp",
    ]
