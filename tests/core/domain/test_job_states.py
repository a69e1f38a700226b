"""Changes of a job's record are typed: what is not valid for a field never gets into it."""

from typing import Any

import pytest
from pydantic import ValidationError

from flawsmith.core.domain import job_states
from flawsmith.core.domain.health import judge
from flawsmith.core.domain.job_kinds.training import KIND, TrainingJob, TrainingProgress
from flawsmith.core.domain.jobs import Job, JobState, Progress

FIELDS: dict[str, Any] = {"config": {}, "model": "m", "dataset": "ds-1", "preset": "dcgan"}


@pytest.fixture
def running() -> Job:
    job = job_states.begun(KIND.new_job(progress=TrainingProgress(total_steps=10), **FIELDS), "train-1")
    assert job is not None
    return job


@pytest.mark.parametrize(
    "update",
    [
        {"progress": 3200},
        {"progress": Progress(total_steps=10)},  # of another kind of job
        {"losses": {"generator_loss": "0.5"}},
        {"checkpoint_step": 1.5},
        {"produced": 2},
    ],
)
def test_a_value_that_is_not_valid_for_its_field_is_refused(running: Job, update: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        job_states.reported(running, update)
    with pytest.raises(ValidationError):
        job_states.finished(running, JobState.SUCCEEDED, "published m@1", update)


def test_a_field_that_the_record_does_not_have_is_refused(running: Job) -> None:
    with pytest.raises(TypeError, match="TrainingJob has no field setbacks"):
        job_states.reported(running, {"setbacks": 1})
    with pytest.raises(TypeError, match="has no field total_steps"):
        KIND.new_job(progress=TrainingProgress(total_steps=10), total_steps=10, **FIELDS)


def test_a_valid_change_keeps_every_other_field(running: Job) -> None:
    progress = TrainingProgress(step=5, total_steps=10, images_per_second=3)
    changed = job_states.reported(running, {"progress": progress, "losses": {"generator_loss": 1}})
    assert isinstance(changed, TrainingJob)
    assert changed.losses == {"generator_loss": 1.0}
    assert changed.model_dump(exclude={"progress", "losses"}) == running.model_dump(exclude={"progress", "losses"})
    assert TrainingJob.model_validate_json(changed.model_dump_json()) == changed


@pytest.mark.parametrize("progress", [3200, -0.1])
def test_a_number_of_steps_is_no_progress(progress: float) -> None:
    with pytest.raises(ValueError, match="share of the run"):
        judge([], progress=progress)
