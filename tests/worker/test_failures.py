"""From an error to a reason that a person can act on; errors of a GPU that this machine may not have."""

from pathlib import Path

import pytest
import torch

from flawsmith.core.domain.job_kinds.training import TrainingJob, TrainingProgress
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.records import now
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.worker.checkpoints import DiskFull
from flawsmith.worker.devices.device_key import limit_memory
from flawsmith.worker.failures import reason_for


def job_of(batch_size: int) -> TrainingJob:
    return TrainingJob(
        id="job-1",
        state=JobState.RUNNING,
        model="m",
        dataset="ds-1",
        preset="dcgan",
        config={"batch_size": batch_size, "resolution": 64},
        progress=TrainingProgress(total_steps=1),
        created_at=now(),
    )


@pytest.mark.parametrize(
    ("error", "batch_size", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), 12, ["batch_size 12", "batch_size 6"]),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate"), 8, ["batch_size 4"]),
        (MemoryError(), 1, ["resolution under 64"]),
        (DiskFull(5 * 10**15), 1, ["disk is full", "are missing", "resume"]),
        (ValueError("a tensor's shape"), 1, ["ValueError", "log"]),
    ],
)
def test_the_reason_says_what_to_try(error: Exception, batch_size: int, words: list[str], tmp_path: Path) -> None:
    reason = reason_for(error, job_of(batch_size), ArtifactStore(tmp_path), torch.device("cpu"))
    assert all(word in reason for word in words), reason


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.0, "out of GPU memory with batch_size 12 at 64 px (300 of 24000 MB were free); try batch_size 6"),
        (
            0.7,
            "(16790 of the 16800 MB that FLAWSMITH_DEVICE_MEMORY_SHARE=0.7 gives this worker were in use, and 300 of",
        ),
    ],
)
def test_of_a_gpu_it_names_the_share_of_the_worker(
    share: float, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "mem_get_info": (300 * 10**6, 24_000 * 10**6),
        "memory_reserved": 16_790 * 10**6,
        "get_per_process_memory_fraction": share,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    error = torch.OutOfMemoryError("CUDA out of memory")
    assert words in reason_for(error, job_of(12), ArtifactStore(tmp_path), torch.device("cuda"))


def test_a_share_bounds_a_gpu_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    bounded = list[tuple[float, int | None]]()
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *given: bounded.append(given))
    for device, share in (("cuda:1", 0.7), ("cuda", 0.2), ("cuda", 1.0), ("cpu", 0.7)):
        limit_memory(torch.device(device), share)
    assert bounded == [(0.7, 1), (0.2, None)]
