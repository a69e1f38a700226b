"""Names a device so that all processes that compute on it use one name, in whatever container they run."""

from functools import lru_cache
from pathlib import Path

import torch

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # one for all containers of a machine, unlike the host's name


@lru_cache
def device_key(name: str) -> str:
    """Of a device such as ``cuda:1``, or the CPU, whose cores all share: a part of a file's name."""
    device = torch.device(name)
    machine = BOOT_ID.read_text().strip() if BOOT_ID.exists() else "this-machine"
    if device.type == "cpu":
        return f"cpu-{machine}"
    return f"{device.type}-{_uuid(device) or f'{device.index or 0}-{machine}'}"


def _uuid(device: torch.device) -> str | None:
    """Containers number their GPUs from 0, each its own. Not every build of PyTorch knows a GPU's UUID."""
    if device.type != "cuda":
        return None
    try:
        return str(torch.cuda.get_device_properties(device).uuid)
    except (AssertionError, AttributeError, RuntimeError):  # one that is not there fails where it is used
        return None


def limit_memory(device: torch.device, share: float) -> None:
    """Bounds what this process allocates on a GPU; a torch.OutOfMemoryError tells who needs more."""
    if device.type == "cuda" and share < 1:
        torch.cuda.set_per_process_memory_fraction(share, device.index)
