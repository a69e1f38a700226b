"""The call that compares two versions of a model."""

from collections.abc import Callable

from flawsmith.client.commands import Flow
from flawsmith.client.jobs import JobCalls
from flawsmith.client.models import numbered, version_path
from flawsmith.client.operations import Calls, operation, record
from flawsmith.client.records import Comparison, Dataset, Job, Version

ACCEPTED = 202


class ComparisonCalls(Calls):
    """Versions beside one another."""

    @operation
    def compare(
        self,
        reference: str | Version,
        other: str | Version,
        *,
        dataset: str | Dataset | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Flow[Comparison]:
        """Which of two versions of a model is nearer to photographs; both are judged on the same ones.

        A worker makes it the first time, which takes some tens of seconds; then it is there at once.

        Args:
            reference, other: such as ``steel@2`` and ``steel@1``.
            dataset: to judge both on; None: that of the newer version.
            on_progress: is told the steps done, and all, while it is made.

        Raises:
            ValueError: they are versions of two models.
            JobFailed: it could not be made.
        """
        place = yield from version_path(self, reference)
        model, number = yield from numbered(self, other, served=False)
        if model != place.split("/")[2]:
            raise ValueError(f"versions of one model are compared, not of '{place.split('/')[2]}' and '{model}'")
        query = {"with": number, "dataset": dataset.id if isinstance(dataset, Dataset) else dataset}
        while True:
            answer = yield from self._get(f"{place}/compare", **query)
            if answer.status != ACCEPTED:
                return record(Comparison.read, answer)
            yield from JobCalls.wait(self, record(Job.read, answer), on_progress=on_progress)
