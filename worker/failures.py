"""Turns the error that ended a segment into a reason that a person can act on."""

import errno
import shutil

import torch

from flawsmith.core.domain.jobs import Job
from flawsmith.core.store.interface import Store
from flawsmith.worker.checkpoints import DiskFull, checkpoint_bytes, is_disk_full
from flawsmith.worker.devices.rank_group import RankLost

MEGABYTE = 10**6


def reason_for(error: Exception, job: Job, store: Store, device: torch.device) -> str:
    """What was wrong, and what would be right."""
    if _out_of_memory(error):
        return _memory_reason(job, device)
    if isinstance(error, RankLost):
        return f"{error}; its log has their last lines under this job's id"
    if is_disk_full(error):
        return _disk_reason(error, job, store)
    return f"{type(error).__name__} in the worker; its log has the details under this job's id"


def _out_of_memory(error: Exception) -> bool:
    # on the CPU, torch raises a plain RuntimeError
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


def _memory_reason(job: Job, device: torch.device) -> str:
    where, free = "memory", ""
    if device.type == "cuda":
        where = "GPU memory"
        left, whole = torch.cuda.mem_get_info(device)
        free = f" ({left // MEGABYTE} of {whole // MEGABYTE} MB were free)"
        share = torch.cuda.get_per_process_memory_fraction(device.index)
        if share < 1:
            most, used = round(share * whole) // MEGABYTE, torch.cuda.memory_reserved(device) // MEGABYTE
            share_words = f"{used} of the {most} MB that FLAWSMITH_DEVICE_MEMORY_SHARE={share:g} gives this worker"
            free = f" ({share_words} were in use, and {left // MEGABYTE} of {whole // MEGABYTE} MB of the GPU free)"
    return f"out of {where} with {job.memory_demand}{free}; {job.memory_advice}"


def _disk_reason(error: Exception, job: Job, store: Store) -> str:
    free = shutil.disk_usage(store.staging.parent).free
    needed = error.needed if isinstance(error, DiskFull) else checkpoint_bytes(store, job.id)
    return (
        f"the artifact store's disk is full; a checkpoint needs {_megabytes(needed)}, {_megabytes(free)} are free: "
        f"{_megabytes(max(needed - free, 0))} are missing. Make room, then resume the job"
    )


def _megabytes(count: int) -> str:
    return f"{count / MEGABYTE:.1f} MB"
