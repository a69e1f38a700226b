"""What was sent of each job, in the artifact store, so that a process that was killed sends nothing twice."""

from contextlib import suppress
from pathlib import Path

from pydantic import Field

from flawsmith.core.domain.jobs import new_identity
from flawsmith.core.domain.records import Moment, Record
from flawsmith.core.store.interface import Place, Store


class Batch(Record):
    """Points that are under way: up to which step, and the time that they have there, in seconds since 1970."""

    upto: int
    at: float


class Sent(Record):
    """What a tracker has of a job.

    ``step`` is the last one of its curves, with the values ``names``. ``batch`` and ``grid`` are under way: whether
    they arrived is not known. ``told`` is `Facts.digest`, ``report`` the stamp of the report's file, ``mark`` as
    `Tracker.mark`. A run that is ``lost`` was deleted there.
    """

    run: str | None = None
    lost: bool = False
    step: int = 0
    names: list[str] = Field(default_factory=list)
    batch: Batch | None = None
    grids: list[int] = Field(default_factory=list)
    grid: int | None = None
    told: str = ""
    noted_at: Moment | None = None
    report: str = ""
    mark: int = 0


class SentRuns:
    """Of one tracker: ``trackers/PLACE/JOB.json``.

    Args:
        place: names the tracker and where it is. Another place gets every job anew.
    """

    def __init__(self, store: Store, place: str) -> None:
        self.store, self.folder = store, store.path("trackers", place)

    @property
    def lock_folder(self) -> Path:
        """Where a process locks a file: in the store, or on this machine where the store is a bucket."""
        beside = self.store.staging.parent / "trackers" / self.folder.name
        return self.folder if isinstance(self.folder, Path) else beside

    def since(self) -> str:
        """The id from which on jobs are sent: none that had ended before there was this tracker."""
        path = self.folder / "since.json"
        if not path.exists():
            self.store.write_json(path, {"job": f"job-{new_identity()}"})
        return str(self.store.read_json(path)["job"])

    def ids(self) -> set[str]:
        """The jobs of which something was sent."""
        return {path.stem for path in self.folder.glob("job-*.json")}

    def get(self, job_id: str) -> Sent:
        """A record that cannot be read counts as none: the run is found by its job, and gets its curves again."""
        with suppress(FileNotFoundError, ValueError):
            return Sent.model_validate_json(self._path(job_id).read_bytes())
        return Sent()

    def put(self, job_id: str, sent: Sent) -> None:
        self.store.write_bytes(self._path(job_id), sent.model_dump_json().encode())

    def forget(self, job_id: str) -> None:
        """The job was deleted; what the tracker has of it stays there."""
        self._path(job_id).unlink(missing_ok=True)

    def _path(self, job_id: str) -> Place:
        return self.folder / f"{job_id}.json"
