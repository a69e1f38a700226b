"""From an error to a reason that a person can act on; errors of a GPU that this machine may not have."""

from pathlib import Path

import pytest
import torch

from flawsmith.core.domain.job_kinds.training import TrainingJob, TrainingProgress
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.records import now
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.worker.checkpoints import DiskFull
from flawsmith.worker.failures import reason_for


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
    job = TrainingJob(
        id="job-1",
        state=JobState.RUNNING,
        model="m",
        dataset="ds-1",
        preset="dcgan",
        config={"batch_size": batch_size, "resolution": 64},
        progress=TrainingProgress(total_steps=1),
        created_at=now(),
    )
    reason = reason_for(error, job, ArtifactStore(tmp_path), torch.device("cpu"))
    assert all(word in reason for word in words), reason
