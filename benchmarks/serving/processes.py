"""Reads from /proc what processes use: CPU time with descendants, and memory."""

import os
import time
from collections.abc import Collection
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SHARE = 0.05  # of one core


def process_tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for each in found:  # the list grows during the loop
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time that the process and its live descendants have used so far."""
    return sum(_ticks(each) for each in process_tree(pid)) / TICKS


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def cpu_share(pids: Collection[int], seconds: float) -> float:
    """Measures for some seconds which share of one core the processes and their descendants use."""
    before, begun = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(seconds)
    return (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - begun)


def wait_until_idle(pids: Collection[int], max_seconds: float = 120.0) -> float:
    """Waits until the processes and their descendants are nearly idle; returns the share of one core that they use."""
    deadline = time.monotonic() + max_seconds
    while (share := cpu_share(pids, 1.0)) > IDLE_SHARE and time.monotonic() < deadline:
        continue
    return share


def resident_bytes(pid: int) -> int:
    """The memory of the process that is in RAM (VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has ended")
