"""The types that a caller's checker sees, of both clients."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from flawsmith import AsyncClient, Client
from flawsmith.client import Comparison, Event, Images, Job, WebhookMessage

client = Client()
assert_type(client.train("steel", "steel", max_seconds=150), Job)
assert_type(client.generate("steel", count=4, seed=1), Images)
assert_type(client.watch("job-1"), Iterator[Event])
assert_type(client.webhook_messages("job-1"), Iterator[WebhookMessage])
assert_type(client.label("steel@1", [(("pits", 5), b"PNG")]), Job)
assert_type(client.compare("steel@2", "steel@1"), Comparison)
client.add_webhook("https://lab.example", ["job.over"])  # error: unknown event
client.train("steel", "steel", max_second=1)  # error: unknown argument
client.generate("steel", count="4")  # error: wrong type


async def main(client: AsyncClient) -> None:
    assert_type(await client.train("steel", "steel"), Job)
    assert_type(await client.generate("steel"), Images)
    assert_type(client.watch("job-1"), AsyncIterator[Event])
    client.generate("steel").numpy()  # error: not awaited
"""


def test_both_clients_are_typed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    wrong = [number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# error" in line]
    found = [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line]
    assert sorted(set(found)) == wrong, done.stdout
