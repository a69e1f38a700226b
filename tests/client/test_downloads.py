"""Downloads that break: continued by Range where the file is the same, begun anew where it is not."""

import hashlib
import json
from pathlib import Path

import pytest
from tests.client.both import Run, both
from tests.client.stand_in import Call, Reply, answering, problem

from flawsmith.client.errors import BrokenDownload, NoAnswer, NotFound, UnexpectedAnswer

CONTENT = bytes(range(256)) * 40
CLIENT = {"deadline": 5.0}


def job(content: bytes = CONTENT) -> Reply:
    record = {
        "id": "export-1",
        "kind": "export",
        "state": "succeeded",
        "progress": {"step": 1, "total_steps": 1},
        "created_at": "2026-01-01T00:00:00Z",
        "result": {"sha256": hashlib.sha256(content).hexdigest()},
    }
    return Reply(200, json.dumps(record).encode())


def served(call: Call, content: bytes, etag: str = '"one"', cut: int | None = None, *, ranges: bool = True) -> Reply:
    """What a server of this file answers; it heeds Range for this ETag only."""
    headers = {"ETag": etag}
    if ranges and call.headers.get("if-range") == etag:
        first = int(call.headers["range"].removeprefix("bytes=").removesuffix("-"))
        if first >= len(content):
            return problem(416, "range-not-satisfiable")
        headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return Reply(206, content[first:], headers, "application/zip", cut)
    return Reply(200, content, headers, "application/zip", cut)


@both
def test_the_rest_is_asked_for(run: Run, tmp_path: Path) -> None:
    def answer(number: int, call: Call) -> Reply:
        return job() if number == 0 else served(call, CONTENT, cut=3000 if number < 4 else None)

    with answering(answer) as service:
        assert run(service.url, "download", "export-1", tmp_path / "a.zip", client=CLIENT) == tmp_path / "a.zip"
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [call.headers.get("range") for call in service.calls[1:]] == [None, *(f"bytes={n}000-" for n in (3, 6, 9))]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@both
def test_another_file_is_begun_anew(run: Run, tmp_path: Path) -> None:
    other = CONTENT[::-1]

    def answer(number: int, call: Call) -> Reply:
        if number == 0:
            return job(other)
        return served(call, CONTENT, '"one"', cut=3000) if number == 1 else served(call, other, '"two"')

    with answering(answer) as service:
        run(service.url, "download", "export-1", tmp_path / "a.zip", client=CLIENT)
    assert (tmp_path / "a.zip").read_bytes() == other


@both
def test_a_server_without_ranges_sends_all_of_it_again(run: Run, tmp_path: Path) -> None:
    def answer(number: int, call: Call) -> Reply:
        return job() if number == 0 else served(call, CONTENT, cut=3000 if number < 3 else None, ranges=False)

    with answering(answer) as service:
        run(service.url, "download", "export-1", tmp_path / "a.zip", client=CLIENT)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@both
def test_a_server_that_does_not_say_the_length(run: Run, tmp_path: Path) -> None:
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    headers = {"Transfer-Encoding": "chunked", "Content-Length": ""}
    reply = Reply(200, chunks, headers, "application/zip")
    with answering(lambda number, _: job(b"hello") if number == 0 else reply) as service:
        run(service.url, "download", "export-1", tmp_path / "a.zip", client=CLIENT)
    assert (tmp_path / "a.zip").read_bytes() == b"hello"


@both
def test_a_compressed_file_is_refused(run: Run, tmp_path: Path) -> None:
    reply = Reply(200, CONTENT, {"Content-Encoding": "gzip"}, "application/zip")
    answers = answering(lambda number, _: job() if number == 0 else reply)
    with answers as service, pytest.raises(UnexpectedAnswer, match="compresses"):
        run(service.url, "download", "export-1", tmp_path / "a.zip", client=CLIENT)


@both
def test_a_part_that_is_longer_than_the_file_is_dropped(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".a.zip.one.part").write_bytes(CONTENT * 2)
    with answering(lambda number, call: job() if number == 0 else served(call, CONTENT)) as service:
        run(service.url, "download", "export-1", tmp_path / "a.zip", client=CLIENT)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@both
def test_a_part_that_is_whole_is_not_fetched_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".a.zip.one.part").write_bytes(CONTENT)
    with answering(lambda number, call: job() if number == 0 else served(call, CONTENT)) as service:
        run(service.url, "download", "export-1", tmp_path / "a.zip", client=CLIENT)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@both
def test_wrong_bytes_are_noticed_and_deleted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"an earlier one")
    (tmp_path / ".a.zip.one.part").write_bytes(b"?" * 3000)
    answers = answering(lambda number, call: job() if number == 0 else served(call, CONTENT))
    with answers as service, pytest.raises(BrokenDownload):
        run(service.url, "download", "export-1", tmp_path / "a.zip", client=CLIENT)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == b"an earlier one"


@both
def test_what_keeps_breaking_is_an_error_at_last(run: Run, tmp_path: Path) -> None:
    answers = answering(lambda number, call: job() if number == 0 else served(call, CONTENT, cut=0))
    with answers as service, pytest.raises(NoAnswer):
        run(service.url, "download", "export-1", tmp_path / "a.zip", client={"deadline": 0.5})
    assert not (tmp_path / "a.zip").exists()


@both
def test_a_job_without_an_archive_leaves_no_file(run: Run, tmp_path: Path) -> None:
    refusal = problem(404, "not-found", "not complete yet")
    answers = answering(lambda number, _: job() if number == 0 else refusal)
    with answers as service, pytest.raises(NotFound, match="not complete yet"):
        run(service.url, "download", "export-1", tmp_path / "a.zip", client=CLIENT)
    assert list(tmp_path.iterdir()) == []
