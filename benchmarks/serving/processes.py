"""What processes use, by /proc: CPU time of a process with its descendants, and the memory of one."""

import os
import time
from collections.abc import Collection
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SHARE = 0.05  # of one core


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for each in found:  # grows while it is read
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time that the process and its living descendants have used so far."""
    return sum(_ticks(each) for each in tree(pid)) / TICKS


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def cpu_share(pids: Collection[int], seconds: float) -> float:
    """The share of one core that the processes and their descendants use in the next seconds."""
    before, begun = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(seconds)
    return (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - begun)


def until_idle(pids: Collection[int], patience: float = 120.0) -> float:
    """Waits until the processes and their descendants hardly use a core; gives the share that they use still."""
    deadline = time.monotonic() + patience
    while (share := cpu_share(pids, 1.0)) > IDLE_SHARE and time.monotonic() < deadline:
        continue
    return share


def resident_bytes(pid: int) -> int:
    """The process's memory that is in RAM (VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no memory: it has ended")
