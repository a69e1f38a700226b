"""Evaluation in a worker: for each subset of photographs a generator, then a classifier for each arm."""

import hashlib
import json
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from flawsmith.core.domain.evaluation_request import subset_steps
from flawsmith.core.domain.evaluation_result import EvaluationResult
from flawsmith.core.domain.job_kinds.evaluation import EvaluationJob
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.presets.registry import UnknownPreset
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.training_config import WrongConfig
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.priors import UnknownPrior
from flawsmith.core.store.registry import UnknownModel
from flawsmith.core.store.version_results import EVALUATIONS, save_result
from flawsmith.models.evaluation.experiment import Experiment, derived_seed
from flawsmith.models.evaluation.labelled_photographs import LabelledPhotographs, split
from flawsmith.worker.celery import device, services, threads, training_turns
from flawsmith.worker.checkpoints import Checkpoint, NewerFormat, newest_checkpoint, save_checkpoint
from flawsmith.worker.determinism import choose_kernels
from flawsmith.worker.evaluation_photographs import load_evaluation_photographs
from flawsmith.worker.evaluation_scores import load_scores, save_scores
from flawsmith.worker.executor import Executor, Result, Segment, Work
from flawsmith.worker.held_out import inherited
from flawsmith.worker.prior_file import DamagedPrior
from flawsmith.worker.rollback import Diverged
from flawsmith.worker.subset_work import SubsetWork
from flawsmith.worker.uplift import not_measurable, uplift


class TooFewPhotographs(Exception):
    """The dataset has fewer photographs than its record says."""


class EvaluationExecutor(Executor):
    """Opens evaluations."""

    lasting = (
        DamagedPrior,
        Diverged,
        NewerFormat,
        TooFewPhotographs,
        UnknownDataset,
        UnknownModel,
        UnknownPreset,
        UnknownPrior,
        WrongConfig,
    )

    def open(self, job: Job) -> Work:
        evaluation_job = cast(EvaluationJob, job)
        version = services().registry.resolve(evaluation_job.version)
        if reason := job.config["not_measurable"]:
            return NotMeasurable(evaluation_job, version, reason)
        experiment = _experiment(evaluation_job, version)
        held_out = experiment.held_out_by_type()
        if without := [name for name, count in zip(job.config["types"], held_out, strict=True) if not count]:
            names = ", ".join(without)
            reason = f"the photographs of {names} are near-duplicates of one another, so that none can be held out"
            if job.config.get("unseen_by_origin"):
                reason += f", or {version.config['init_from']} was trained on all of them"
            return NotMeasurable(evaluation_job, version, reason)
        if experiment.split.fewest_left < max(job.config["per_type"]):
            raise TooFewPhotographs("photographs of the dataset are missing; upload them again under another name")
        return EvaluationWork(evaluation_job, version, experiment)


class _Evaluation(Work):
    """What publishes the result of an evaluation."""

    job: EvaluationJob

    def __init__(self, job: EvaluationJob, version: ModelVersion, saved_step: int = 0) -> None:
        super().__init__(job, saved_step)
        self.version = version

    @abstractmethod
    def result(self) -> EvaluationResult:
        """What the evaluation found out."""

    def finish(self, segment: Segment) -> Result:
        """Keeps the result with the version, and in the job's record. Raises UnknownModel."""
        result, folder = self.result(), services().registry.folder(self.version)
        try:
            save_result(folder, EVALUATIONS, self.job.id, result.model_dump(mode="json"), segment.claim.write_bytes)
        except FileNotFoundError as error:
            if not segment.claim.held:
                raise ClaimLost(str(error)) from error
            raise UnknownModel(f"{self.version.ref} was deleted while it was evaluated") from error
        return Result(f"{result.verdict}: {result.reason}", {"result": result})


class NotMeasurable(_Evaluation):
    """An evaluation that is over before it begins."""

    def __init__(self, job: EvaluationJob, version: ModelVersion, reason: str) -> None:
        super().__init__(job, version)
        self.reason = reason

    @property
    def step(self) -> int:
        return 0

    @property
    def over(self) -> bool:
        return True

    def advance(self, segment: Segment) -> None:
        raise AssertionError("it is over")

    def save(self, segment: Segment) -> None:
        """There is nothing to save."""

    def result(self) -> EvaluationResult:
        return not_measurable(self.reason, not self.job.config["retrain"], self.job.config["repeats"])


class EvaluationWork(_Evaluation):
    """An evaluation at one of its subsets.

    A job's steps are those of all generators and classifiers in their order, so that a step says where the job is. A
    generator whose training ends early leaves its remaining steps out.
    """

    def __init__(self, job: EvaluationJob, version: ModelVersion, experiment: Experiment) -> None:
        folder, config = JobFolder(services().store, job.id), job.config
        digest = services().datasets.get(job.dataset).digest
        self.experiment, self.folder = experiment, folder
        self.identity = _identity(job, digest)
        self.leaks = not config["retrain"] or (not config.get("unseen_by_origin") and _origin_saw(job, version))
        self.subsets = [(count, repeat) for repeat in range(config["repeats"]) for count in config["per_type"]]
        self.scored = load_scores(folder)
        checkpoint = newest_checkpoint(services().store, job.id, self.identity)
        super().__init__(job, version, checkpoint.step if checkpoint else 0)
        self._index, offset = divmod(self.saved_step, subset_steps(config))
        self._subset = self._begin_subset()
        if checkpoint and self._subset:
            self._subset.restore(checkpoint, offset)
        self._opened = time.monotonic(), self.step

    @property
    def step(self) -> int:
        return self._index * subset_steps(self.job.config) + (self._subset.step if self._subset else 0)

    @property
    def over(self) -> bool:
        return self._subset is None

    @contextmanager
    def active(self) -> Iterator[None]:
        choose_kernels(False)
        torch.set_num_threads(threads())
        if self._subset:
            self._subset.enter()
        self._opened = time.monotonic(), self.step
        try:
            yield
        finally:
            if self._subset:
                self._subset.leave()
            choose_kernels(False)

    def advance(self, segment: Segment) -> None:
        """Makes a step of a generator or a classifier, or a pass of a generator. Raises Diverged."""
        subset = self._subset
        assert subset is not None
        if subset.run:
            subset.run.awaits_steps = training_turns().shared
        scores = subset.advance()
        if scores is None:
            return
        arm, found = scores
        self.scored[subset.subset.per_type, subset.subset.repeat, arm] = found
        save_scores(self.scored, self.folder, segment.claim)  # before any checkpoint that is further
        place = {"per_type": subset.subset.per_type, "repeat": subset.subset.repeat}
        segment.emit("scores", {"arm": arm.name, "ratio": arm.ratio, **place, **vars(found)})
        if subset.over:
            self._index += 1
            self._subset = self._begin_subset()
            if self._subset:
                self._subset.enter()

    def save(self, segment: Segment) -> None:
        checkpoint = self._subset.checkpoint() if self._subset else Checkpoint(self.step, {}, {}, threads=threads())
        named = replace(checkpoint, step=self.step, run=self.identity)
        save_checkpoint(services().store, segment.claim, self.job.id, named)

    def report(self) -> dict[str, Any]:
        seconds, steps = time.monotonic() - self._opened[0], self.step - self._opened[1]
        left = self.job.progress.total_steps - self.step
        eta = round(left * seconds / steps, 1) if steps else self.job.progress.eta_seconds
        return {"progress": self.job.progress.changed(step=self.step, eta_seconds=eta)}

    def result(self) -> EvaluationResult:
        config = self.job.config
        return uplift(
            self.scored,
            config["per_type"],
            config["ratios"],
            config["repeats"],
            self.experiment.held_out_by_type(),
            self.leaks,
        )

    def _begin_subset(self) -> SubsetWork | None:
        """The subset whose turn it is, at its first step; None where none is left."""
        if self._index >= len(self.subsets):
            return None
        subset = self.experiment.subset(*self.subsets[self._index])
        return SubsetWork(self.job, self.version, self.experiment, subset, services(), device(), threads())


def _experiment(job: EvaluationJob, version: ModelVersion) -> Experiment:
    config = job.config
    photographs = load_evaluation_photographs(job, version, services())
    counts = [config["held_out"][each] for each in config["types"]]
    seen = _seen_by_origin(job, version, photographs) if config.get("unseen_by_origin") else None
    chosen = split(photographs, counts, derived_seed(config["seed"], "held out"), seen)
    generated = range(len(version.classes))
    return Experiment(photographs, chosen, generated, config["seed"], device(), config["classifier_steps"])


def _identity(job: EvaluationJob, dataset_digest: str) -> dict[str, str]:
    """What a checkpoint of the job is of."""
    config = json.dumps(job.config, sort_keys=True).encode()
    return {
        "version": job.version,
        "config_sha256": hashlib.sha256(config).hexdigest(),
        "dataset_digest": dataset_digest,
    }


def _seen_by_origin(job: EvaluationJob, version: ModelVersion, photographs: LabelledPhotographs) -> Tensor:
    """Which squares are of photographs that the version which training starts from was trained on, (N,) bool."""
    origin = version.config["inherited_holdout"]
    count = services().datasets.get(job.dataset).photographs_of(origin["dataset_digest"])
    held_out = inherited({**origin, "photographs": count}, job.dataset, services())
    number = photographs.photograph
    return (number < (count or 0)) & ~torch.isin(number, torch.tensor(held_out, dtype=number.dtype))


def _origin_saw(job: EvaluationJob, version: ModelVersion) -> bool:
    """Whether training again would start from a version that was trained on photographs of this dataset."""
    if (origin := version.config.get("init_from")) is None:
        return False
    dataset = services().datasets.get(job.dataset)
    return dataset.photographs_of(services().registry.resolve(origin).dataset_digest) is not None
