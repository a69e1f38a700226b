"""The command `flawsmith worker`."""

import os
import subprocess
import sys

import pytest

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
