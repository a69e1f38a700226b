"""What a training job's record says of the version that the job published."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.published_versions import FAILING, publish

from flawsmith.core.domain.job_kinds.training import KIND, StopReason, TrainingJob, TrainingProgress
from flawsmith.core.domain.records import Verdict
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry
from flawsmith.worker import training


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (FAILING, "published scratches@1, of step 6; its verdict is failing"),
        (None, "published scratches@1, of step 6"),
    ],
)
def test_the_record_has_the_verdict_of_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: Verdict | None, reason: str
) -> None:
    version = publish(Registry(ArtifactStore(tmp_path)), "job-1", step=6, verdict=verdict)
    monkeypatch.setattr(training, "_publish", lambda run, claim: version)
    monkeypatch.setattr(training, "services", lambda: SimpleNamespace(settings=Settings()))
    progress = TrainingProgress(total_steps=6)
    job = cast(TrainingJob, KIND.new_job(config={}, progress=progress, model="scratches", dataset="d", preset="dcgan"))
    run: Any = SimpleNamespace(step=6, saved_step=6, stop_reason=StopReason.COMPLETED)
    result = training.TrainingWork(job, run).finish(cast(Any, SimpleNamespace(claim=None)))
    assert result.reason == reason
    record = job.changed(**result.fields)
    assert (record.produced, record.verdict, record.served_by_name) == ("scratches@1", verdict, None)
