"""The command `flawsmith worker`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from tests.conftest import until

from flawsmith.core.live import keys

# A stand-in for the worker, so that nothing is loaded before the command has set what torch reads when it is loaded.
REPORT = """
import os, sys, types
module = types.ModuleType("flawsmith.worker.celery")
module.run_worker = lambda queue: print(queue, os.environ.get("OMP_WAIT_POLICY"), "torch" in sys.modules)
sys.modules[module.__name__] = module
from flawsmith.cli.main import main
main()
"""


def waiting_policy(queue: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | variables
    command = [sys.executable, "-c", REPORT, "worker", queue]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("queue", ["train", "sample"])
def test_threads_of_a_worker_sleep_while_they_wait_unless_told_otherwise(queue: str) -> None:
    assert waiting_policy(queue) == f"{queue} passive False"
    assert waiting_policy(queue, OMP_WAIT_POLICY="active") == f"{queue} active False"


def test_a_worker_outlives_messages_that_nobody_of_flawsmith_has_sent(
    redis_server: Path, empty_redis: redis.Redis, tmp_path: Path
) -> None:
    messages = ["{}", "null", '{"body": "e30=", "headers": {}, "properties": {}}']
    log = tmp_path / "log"
    environment = {**os.environ, "FLAWSMITH_DATA_DIR": str(redis_server), "FLAWSMITH_DEVICE": "cpu"}
    command = [sys.executable, "-m", "flawsmith.cli.main", "worker", "sample"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        until(lambda: empty_redis.exists(keys.workers("sample")), 60, "the worker is live")
        for message in messages:
            empty_redis.lpush("flawsmith:broker:sample", message)
        until(
            lambda: log.read_text().count("malformed message") == 3 or process.poll() is not None, 30, "they are read"
        )
        assert process.poll() is None, log.read_text()[-2000:]
        assert empty_redis.exists("flawsmith:broker:sample", "flawsmith:broker:unacked") == 0
    finally:
        process.kill()
        process.wait(10)
