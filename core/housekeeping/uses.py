"""What is used: retention never deletes it."""

import re
from contextlib import suppress
from dataclasses import dataclass, field

from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.services import Services
from flawsmith.core.store.registry import UnknownModel

_QUOTED = re.compile(r'"([A-Za-z0-9_.-]+@[1-9]\d{0,8}|[a-z][a-z0-9]{0,31}-[A-Za-z0-9]{1,64})"')
"""A reference to a version, or an id, as a value or in a list of a record's JSON."""


@dataclass(frozen=True)
class Uses:
    """What uses versions, datasets and jobs, in words, by their references and ids; and the versions' datasets."""

    versions: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def of_dataset(self, dataset: Dataset) -> str | None:
        """What uses a dataset: an unfinished job, or a version in use that has its photographs or its parents'."""
        digests = (dataset.digest, *(each.digest for each in dataset.lineage))
        users = [self.datasets.get(dataset.id), *map(self.digests.get, digests)]
        return next((each for each in users if each), None)


def find_uses(services: Services, unfinished: list[Job]) -> Uses:
    """What unfinished jobs, callers, aliases, bare model names and other versions use."""
    found = Uses()
    for job in unfinished:
        who = f"{job.kind} job {job.id}"
        found.datasets.update(dict.fromkeys(job.datasets, who))
        for each in _QUOTED.findall(job.model_dump_json()):
            (found.versions if "@" in each else found.jobs)[each] = who
    for ref in PoolReplenisher(services.image_redis, services.settings).image_counts():
        found.versions.setdefault(ref, "requests for its images")
    versions = all_versions(services)
    for model in services.registry.models():
        for alias, number in model.aliases.items():
            found.versions[f"{model.name}@{number}"] = f"alias '{alias}'"
        if model.serves is not None:
            found.versions.setdefault(f"{model.name}@{model.serves}", "the bare model name")
    for version in versions.values():  # a labelled version has the pixels of its parent, and what was decided of it
        for origin in (version.parent, version.config.get("init_from")):
            if origin:
                found.versions.setdefault(str(origin), f"{version.ref}, which came of it")
    for ref in found.versions.keys() & versions.keys():
        version = versions[ref]
        found.digests.setdefault(version.dataset_digest, f"{ref}, which is used by {found.versions[ref]}")
        for job_id in (version.training_job, version.published_by):
            found.jobs.setdefault(job_id, f"{ref}, which is used by {found.versions[ref]}")
    return found


def all_versions(services: Services) -> dict[str, ModelVersion]:
    found = {}
    for model in services.registry.models():
        for number in model.versions:
            with suppress(UnknownModel, FileNotFoundError):  # deleted meanwhile
                version = services.registry.version(model.name, str(number))
                found[version.ref] = version
    return found
