"""The audit log: whole lines, in order, whatever cut one off."""

import json
import threading
from pathlib import Path

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.audit_log import AuditLog


def events(log: AuditLog) -> list[str]:
    return [json.loads(line)["event"] for line in log.path.read_text().splitlines()]


def test_it_goes_on_behind_what_is_there(tmp_path: Path) -> None:
    AuditLog(ArtifactStore(tmp_path)).record("alias_set", alias="production")
    log = AuditLog(ArtifactStore(tmp_path))  # as after a restart
    log.record("alias_deleted", alias="production")
    assert events(log) == ["alias_set", "alias_deleted"]


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    log = AuditLog(ArtifactStore(tmp_path))
    log.record("alias_set", alias="production")
    with log.path.open("ab") as file:
        file.write(b'{"at": "2026')
    log.record("alias_deleted", alias="production")
    first, broken, last = log.path.read_text().splitlines()
    assert (json.loads(first)["event"], broken, json.loads(last)["event"]) == (
        "alias_set",
        '{"at": "2026',
        "alias_deleted",
    )


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    logs = [AuditLog(ArtifactStore(tmp_path)) for _ in range(8)]  # each opens the file anew, as a process does
    threads = [threading.Thread(target=log.record, args=("alias_set",), kwargs={"why": "x" * 5000}) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert events(logs[0]) == ["alias_set"] * 8
