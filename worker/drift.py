"""Drift checks in a worker: draws images that a version served again, and measures them as its report does."""

import logging
from collections.abc import Iterator
from typing import cast

from torch import Tensor

from flawsmith.core.domain.drift import DriftCheck, drift_reasons, served_measures
from flawsmith.core.domain.job_kinds.drift import DriftJob
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.quality_report import QualityReport
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.registry import UnknownModel
from flawsmith.core.store.version_drift import save_drift
from flawsmith.core.store.version_report import report_file
from flawsmith.models.quality.judgement import Sampler
from flawsmith.models.quality.judging import calibrating
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.worker.celery import device, services
from flawsmith.worker.executor import Executor, Result, Segment, UncheckpointedWork, Work
from flawsmith.worker.known_images import changed_images, known_images
from flawsmith.worker.sampling_error import judged_with_error
from flawsmith.worker.verdict import judged_photographs, sampler
from flawsmith.worker.version_photographs import load_version_photographs
from flawsmith.worker.version_sampler import load_sampler

log = logging.getLogger(__name__)


class NoReport(Exception):
    """The version has no report to compare with."""


class DriftExecutor(Executor):
    """Opens drift checks."""

    lasting = (NoReport, UnknownDataset, UnknownModel)

    def open(self, job: Job) -> Work:
        drift_job = cast(DriftJob, job)
        return DriftWork(drift_job, services().registry.resolve(drift_job.version))


class DriftWork(UncheckpointedWork):
    """A check under way. All of it comes before the finish, as in `ComparisonWork`."""

    job: DriftJob

    def __init__(self, job: DriftJob, version: ModelVersion) -> None:
        super().__init__(job)
        self.version = version
        self.check: DriftCheck | None = None

    @property
    def step(self) -> int:
        return int(self.check is not None)

    def before_finish(self) -> Iterator[None]:
        """Raises UnknownDataset, NoReport."""
        report = self._report()
        photographs = judged_photographs(load_version_photographs(self.version, services()))
        yield
        generator = load_sampler(self.version, services().registry, device())
        changed = changed_images(report.known_images, known_images(generator, device()))
        drawn = served_sampler(sampler(generator), self.version.classes, self.job.newest)
        calibration = yield from calibrating(photographs, SPACES)
        judged = yield from judged_with_error(calibration, drawn, composed=not self.version.has_networks)
        measures = served_measures(judged.measures, report.measures)
        self.check = DriftCheck(
            version=self.version.ref,
            created_at=now(),
            n=sum(each.n for each in judged.measures if each.name == judged.leading),
            measures=measures,
            images_changed=changed,
            reasons=drift_reasons(measures, changed),
        )
        yield

    def finish(self, segment: Segment) -> Result:
        """Keeps what was found with the version; drift goes to the audit log. Raises UnknownModel."""
        check = self.check
        assert check
        folder = services().registry.folder(self.version)
        try:
            save_drift(folder, check, segment.claim.write_bytes)
        except FileNotFoundError as error:
            if not segment.claim.held:
                raise ClaimLost(str(error)) from error
            raise UnknownModel(f"{self.version.ref} was deleted while it was looked at") from error
        if check.drifted:
            log.warning("drift of %s: %s", check.version, "; ".join(check.reasons))
            services().audit.record("drift", version=check.version, reasons=check.reasons)
        return Result("; ".join(check.reasons) or "nothing drifted", {"result": check, **self.report()})

    def _report(self) -> QualityReport:
        try:
            content = report_file(services().registry.folder(self.version)).read_bytes()
        except FileNotFoundError as error:
            raise NoReport(f"the report of {self.version.ref} is gone; POST its report, then look again") from error
        return QualityReport.model_validate_json(content)


def served_sampler(sample: Sampler, classes: list[str], newest: dict[str, int]) -> Sampler:
    """Draws the newest served images again: number 0 is the newest. Of a type that was not served, the first images.

    Those that were served with attributes are drawn without: what callers ask for is no drift of the generator.

    Args:
        sample: draws by seed.
        newest: by defect type, the first seed that was not served yet.
    """

    def again(each_type: int, first: int, count: int) -> Tensor:
        end = newest.get(classes[each_type])
        return sample(each_type, first if end is None else max(0, end - first - count), count)

    return again
