"""What log lines leave out, in both formats."""

import io
import json
import logging
from pathlib import Path
from typing import Literal

import pytest

from flawsmith.core.domain.api_keys import new_key
from flawsmith.core.logs import configure_logging, job_id, segment_id
from flawsmith.core.settings import Settings

FORMATS: tuple[Literal["text", "json"], ...] = ("text", "json")


class Log:
    """A logger of a process whose data folder is /data, and what it wrote."""

    def __init__(self, log_format: Literal["text", "json"]) -> None:
        configure_logging(Settings(data_dir=Path("/data"), log_format=log_format), "api")
        self.is_json = log_format == "json"
        self.logger = logging.getLogger("flawsmith.somewhere")
        self._stream = io.StringIO()
        handler = logging.root.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(self._stream)

    @property
    def text(self) -> str:
        return self._stream.getvalue()


@pytest.fixture(params=FORMATS)
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.INFO)
    for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing"):
        monkeypatch.setattr(logging, name, getattr(logging, name))
    return Log(request.param)


def test_the_place_of_the_data_folder_is_left_out_and_nothing_else(log: Log) -> None:
    log.logger.info("GET /datasets 200; cannot read %r, '/data'; /database", "/data/artifacts/audit.jsonl")
    line = log.text
    assert "GET /datasets 200" in line and "/database" in line
    assert "$FLAWSMITH_DATA_DIR/artifacts/audit.jsonl" in line and "'$FLAWSMITH_DATA_DIR'" in line
    assert "/data/" not in line


def test_a_path_in_a_traceback_is_left_out_too(log: Log) -> None:
    try:
        raise OSError(28, "No space left on device", "/data/artifacts/staging/x")
    except OSError as error:
        log.logger.error("unexpected error", exc_info=error)
    text = log.text
    assert "No space left on device" in text
    assert "/data/" not in text


def test_keys_that_got_into_a_message_are_left_out(log: Log) -> None:
    key, _ = new_key("somebody", "train")
    log.logger.warning("header Authorization: Bearer sesame-opens; key %s; secret whsec_abcdef", key)
    line = log.text
    assert line.count("[key]") == 3
    assert key[-30:] not in line and "sesame" not in line and "abcdef" not in line


def test_lines_of_a_segment_name_it_and_its_job(log: Log) -> None:
    tokens = job_id.set("job-1"), segment_id.set("message-2")
    log.logger.info("saved")
    job_id.reset(tokens[0])
    segment_id.reset(tokens[1])
    log.logger.info("idle")
    worked, idle = log.text.splitlines()
    assert "job-1" in worked and "message-2" in worked
    assert "job-1" not in idle


def test_a_json_line_stays_one_line_whatever_is_in_it(log: Log) -> None:
    log.logger.info("of a stranger: %s", '"}\n{"level": "critical", "event": "')
    assert "of a stranger" in log.text
    if log.is_json:
        [line] = log.text.splitlines()
        assert (json.loads(line)["level"], json.loads(line)["logger"]) == ("info", "flawsmith.somewhere")
