"""The machine that figures come from, in a line: a ratio travels, a figure does not."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "neon", "bf16")


def machine() -> str:
    """CPU, cores, the flags that decide how fast a network runs, memory, and the versions under it."""
    flags = " ".join(flag for flag in TELLING_FLAGS if flag in _cpu("flags", "Features").split()) or "none that tell"
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
