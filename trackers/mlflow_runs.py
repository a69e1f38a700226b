"""Runs in MLflow, by its own client. The server's address may hold a name and a password, which no message shows."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

# Before the import of mlflow, which reads them. An operator's own values come first.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing goes anywhere but to the server
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # whatever failed is sent again at a later look
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}.items():
    os.environ.setdefault(_name, _value)

import mlflow  # noqa: E402
from mlflow.entities import Metric, Param, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from PIL import Image  # noqa: E402

from flawsmith.core.domain.jobs import JobState  # noqa: E402
from flawsmith.core.setting_values import without_credentials  # noqa: E402
from flawsmith.trackers.facts import Facts  # noqa: E402
from flawsmith.trackers.tracker import Point, RunLost, Tracker  # noqa: E402

JOB_TAG = "flawsmith.job"
GRIDS = "samples"
MOST_METRICS, MOST_PARAMETERS = 1000, 100  # that MLflow takes at once
LONGEST_TAG = 5_000  # characters
_STATES = {
    JobState.QUEUED: "SCHEDULED",
    JobState.RUNNING: "RUNNING",
    JobState.SUCCEEDED: "FINISHED",
    JobState.FAILED: "FAILED",
    JobState.CANCELLED: "KILLED",
}


class MlflowRuns(Tracker):
    """Runs of one experiment, which is made if it is not there.

    Args:
        address: of the server; a name and a password in it are taken out.
        experiment: its name.
    """

    name = "MLflow"

    def __init__(self, address: str, experiment: str) -> None:
        self.experiment = experiment
        plain, name, password = without_credentials(address)
        if name is not None:  # no message of the client shows them then
            os.environ |= {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}
        self._client = mlflow.MlflowClient(tracking_uri=plain)
        self._experiment_id: str | None = None

    def begin(self, facts: Facts) -> str:
        experiment = self._experiment()
        wanted = f"tags.`{JOB_TAG}` = '{facts.job.id}'"
        found = self._client.search_runs([experiment], wanted, max_results=1)
        if found:
            run = str(found[0].info.run_id)
        else:
            tags = {
                JOB_TAG: facts.job.id,
                "mlflow.source.name": f"flawsmith {version('flawsmith')}",  # else a path of this machine
                "mlflow.source.type": "JOB",
                "mlflow.user": "flawsmith",
            }
            created = self._client.create_run(experiment, _milliseconds(facts.began), tags, facts.title)
            run = str(created.info.run_id)
        parameters = [Param(name, value) for name, value in facts.parameters.items()]
        for first in range(0, len(parameters), MOST_PARAMETERS):
            self._client.log_batch(run, params=parameters[first : first + MOST_PARAMETERS])
        return run

    def describe(self, run: str, facts: Facts) -> None:
        tags = {**facts.tags, "mlflow.runName": facts.title}
        with _deletion_noticed():
            self._tag(run, tags)
            if facts.ended:
                self._client.set_terminated(run, _STATES[facts.state], _milliseconds(facts.ended))
            else:
                self._client.update_run(run, status=_STATES[facts.state])

    def note(self, run: str, facts: Facts) -> None:
        with _deletion_noticed():
            self._tag(run, {"mlflow.note.content": facts.job.note or "", "flawsmith.tags": ", ".join(facts.job.tags)})

    def points(self, run: str, points: Sequence[Point], at: float) -> None:
        metrics = [
            Metric(name, value, _milliseconds(at), step) for step, values in points for name, value in values.items()
        ]
        with _deletion_noticed():
            for first in range(0, len(metrics), MOST_METRICS):
                self._client.log_batch(run, metrics=metrics[first : first + MOST_METRICS])

    def grid(self, run: str, step: int, picture: Path, at: float, *, again: bool) -> None:
        with _deletion_noticed():
            if again and any(
                f"/{GRIDS}+step+{step}+" in each.path for each in self._client.list_artifacts(run, "images")
            ):
                return
            with Image.open(picture) as image:
                self._client.log_image(run, image, key=GRIDS, step=step, timestamp=_milliseconds(at))

    def report(self, run: str, files: Sequence[Path], values: Point, at: float) -> None:
        self.points(run, [values], at)
        with _deletion_noticed():
            for each in files:
                self._client.log_artifact(run, str(each), "report")

    def _tag(self, run: str, tags: Mapping[str, str]) -> None:
        self._client.log_batch(run, tags=[RunTag(name, value[:LONGEST_TAG]) for name, value in tags.items()])

    def _experiment(self) -> str:
        """Raises MlflowException, also where somebody deleted the experiment."""
        if self._experiment_id is None:
            found = self._client.get_experiment_by_name(self.experiment)
            self._experiment_id = str(found.experiment_id if found else self._client.create_experiment(self.experiment))
        return self._experiment_id


@contextmanager
def _deletion_noticed() -> Iterator[None]:
    """Raises RunLost where the run was deleted."""
    try:
        yield
    except MlflowException as error:
        deleted = error.error_code == "INVALID_PARAMETER_VALUE" and "must be in the 'active' state" in error.message
        if deleted or error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise RunLost(error.message) from error
        raise


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
