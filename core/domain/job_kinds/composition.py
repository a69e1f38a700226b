"""Compositions: a job that places defects on clean photographs, and writes them with their masks into one archive."""

from typing import ClassVar

from flawsmith.core.domain.jobs import Job, JobKind
from flawsmith.core.domain.records import Record


class CompositionResult(Record):
    """What a composition job made.

    Attributes:
        images: number of them.
        defects: number of defects of each type on them.
        splits: number of images in each split.
        left_out: candidates that could not be made, by the reason.
        bytes: size of the archive.
        sha256: of the archive.
    """

    images: int
    defects: dict[str, int]
    splits: dict[str, int]
    left_out: dict[str, int]
    bytes: int
    sha256: str


class CompositionJob(Job):
    """A composition job, as GET /compositions/{id} shows it.

    ``version`` is the model version that was named, such as ``scratches@2``; null where a dataset was named instead.
    ``defects`` is the id of the dataset that the defects are from, null where they are of the version's images.
    ``background`` is that of the clean photographs; null where one was sent, which ``image`` in ``config`` describes.
    ``archive`` is the path of what it made.
    """

    paths: ClassVar[frozenset[str]] = frozenset({"archive"})

    kind: str = "composition"
    version: str | None = None
    defects: str | None = None
    background: str | None = None
    archive: str | None = None
    result: CompositionResult | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(each for each in (self.defects, self.background) if each)

    @property
    def memory_advice(self) -> str:
        return (
            "use a machine with more memory, or smaller photographs; a composition job holds one photograph at a time"
        )


KIND = JobKind(
    name="composition",
    path="/compositions",
    id_prefix="composition",
    record=CompositionJob,
    executor="flawsmith.worker.composition:CompositionExecutor",
    router="flawsmith.app.routes.compositions:router",
)
