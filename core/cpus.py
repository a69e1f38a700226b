"""How many CPUs this process may use: its CPU affinity and the CPU quota of its control groups bound them."""

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cpus(cgroup_root: Path = CGROUP_ROOT, own_cgroup: Path = OWN_CGROUP) -> int:
    """Number of threads that can compute at once in this process, at least 1.

    A container's ``--cpuset-cpus`` is a CPU affinity, its ``--cpus`` a quota: a part of a CPU in the quota counts as
    one, so that no part of it is idle.

    Args:
        cgroup_root: where cgroup v2 is mounted.
        own_cgroup: the file that names this process's group.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(cgroup_root, own_cgroup)
    return available if quota is None else max(1, min(available, math.ceil(quota)))


def _cgroup_quota(root: Path, own_cgroup: Path) -> float | None:
    """The lowest quota, in CPUs, of this process's group and the groups around it; None without one."""
    try:
        entries = own_cgroup.read_text().splitlines()
    except OSError:  # not Linux
        return None
    [*_, group] = ["", *(entry.removeprefix("0::") for entry in entries if entry.startswith("0::"))]
    place = root / group.strip("/")
    groups = [place, *place.parents]
    quotas = [_quota_of(each) for each in groups[: groups.index(root) + 1]]
    return min((each for each in quotas if each is not None), default=None)


def _quota_of(group: Path) -> float | None:
    """The content of ``cpu.max`` is ``QUOTA PERIOD`` in microseconds, or ``max PERIOD``."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None
