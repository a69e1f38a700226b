"""From what went wrong in a segment to a reason that a person can act on."""

import errno
import shutil

import torch

from flawsmith.core.domain.records import Job
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.registry import UnknownModel
from flawsmith.worker.checkpoints import DiskFull, checkpoint_bytes, is_disk_full
from flawsmith.worker.rollback import Diverged

MEGABYTE = 10**6
LASTING = (Diverged, UnknownDataset, UnknownModel)
"""What another attempt would only meet again."""


def reason_for(error: Exception, job: Job, store: ArtifactStore, device: torch.device) -> str:
    """What was wrong, and what would be right."""
    if isinstance(error, LASTING):
        return str(error)
    if _out_of_memory(error):
        return _memory_reason(job, device)
    if is_disk_full(error):
        return _disk_reason(error, job, store)
    return f"{type(error).__name__} in the worker; its log has the details under this job's id"


def _out_of_memory(error: Exception) -> bool:
    # On the CPU, torch raises a plain RuntimeError.
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


def _memory_reason(job: Job, device: torch.device) -> str:
    batch, resolution = job.config["batch_size"], job.config["resolution"]
    where, free = "memory", ""
    if device.type == "cuda":
        where = "GPU memory"
        left, whole = torch.cuda.mem_get_info(device)
        free = f" ({left // MEGABYTE} of {whole // MEGABYTE} MB were free)"
    advice = f"try batch_size {batch // 2}" if batch > 1 else f"try a resolution under {resolution}, or smaller depths"
    return f"out of {where} with batch_size {batch} at {resolution} px{free}; {advice}"


def _disk_reason(error: Exception, job: Job, store: ArtifactStore) -> str:
    free = shutil.disk_usage(store.root).free
    needed = error.needed if isinstance(error, DiskFull) else checkpoint_bytes(store, job.id)
    return (
        f"the artifact store's disk is full; a checkpoint needs {_megabytes(needed)}, {_megabytes(free)} are free: "
        f"{_megabytes(max(needed - free, 0))} are missing. Make room, then resume the job"
    )


def _megabytes(count: int) -> str:
    return f"{count / MEGABYTE:.1f} MB"
