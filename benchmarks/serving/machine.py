"""Describes the machine in one line, for beside the figures: only ratios are comparable between machines."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

SPEED_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "neon", "bf16")


def machine() -> str:
    """CPU, cores, the CPU flags that decide the speed of a network, memory, and versions."""
    flags = " ".join(flag for flag in SPEED_FLAGS if flag in _cpu("flags", "Features").split()) or "no vector flags"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_cpu('model name') or platform.machine()}, {len(os.sched_getaffinity(0))} cores ({flags}), "
        f"{memory:.0f} GiB, Python {platform.python_version()}, torch {version('torch')}"
    )


def _cpu(*names: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""
