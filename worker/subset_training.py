"""Trains a version's preset again, on a part of the photographs, for its evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from flawsmith.core.domain.job_kinds.evaluation import EvaluationJob
from flawsmith.core.domain.job_kinds.training import TrainingJob, TrainingProgress
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.training_config import trainer_config
from flawsmith.core.services import Services
from flawsmith.models.presets.registry import build_trainer
from flawsmith.models.training.holdout import HoldoutRule
from flawsmith.worker.determinism import choose_kernels
from flawsmith.worker.start import load_start
from flawsmith.worker.training_masks import masks_of_subset
from flawsmith.worker.training_run import Run


def subset_run(
    job: EvaluationJob,
    version: ModelVersion,
    images: Tensor,
    type_index: Tensor,
    photograph: Tensor,
    masks: Sequence[Tensor | None],
    seed: int,
    services: Services,
    device: torch.device,
    threads: int,
) -> Run:
    """A run at its first step: the version's configuration, its length bounded by the job's ``max_seconds``.

    Args:
        job: the evaluation.
        version: what it evaluates.
        images, type_index: the subset, of the version's types: (N, C, side, side) uint8 and (N,) int64.
        photograph: (N,) int64, the number of the photograph that each was cut from.
        masks: of each, (side, side) bool, for versions that were trained with masks.
        seed: of the run.
        services, device, threads: of this process.

    Raises:
        UnknownModel: the version that training starts from was deleted.
        UnknownPrior, DamagedPrior: the prior that it starts from is not in this installation, or not as it was.
        UnknownPreset, WrongConfig: this process cannot train the version's preset.
    """
    config = _config(job, version, seed)
    choose_kernels(config.get("deterministic", False))  # building the networks computes as well
    torch.set_num_threads(threads)
    trainer = build_trainer(
        version.preset,
        trainer_config(version.preset, config),
        images,
        type_index,
        len(version.classes),
        device,
        photograph if config.get("whole_photographs") else None,
        HoldoutRule() if config.get("holdout_by") == "photograph" else None,
        masks_of_subset(masks, config),
    )
    load_start(trainer, config, services)
    return Run(_training_job(job, version, config), version.dataset_digest, trainer, device, threads)


def _training_job(job: EvaluationJob, version: ModelVersion, config: dict[str, Any]) -> TrainingJob:
    """The training of a subset as a job; it is never recorded."""
    return TrainingJob(
        id=job.id,
        state=job.state,
        model=version.model,
        dataset=job.dataset,
        preset=version.preset,
        config=config,
        progress=TrainingProgress(total_steps=config["total_steps"]),
        created_at=job.created_at,
    )


def advance(run: Run) -> None:
    """Makes one step, evaluates it where that is due, and evaluates the last one. Raises Diverged."""
    run.train(run.evaluate)
    if run.stop_reason:
        run.conclude(run.evaluate)


def generator_weights(run: Run) -> dict[str, Tensor]:
    """Of the step that would be published, on the CPU."""
    networks = run.best.networks if run.best else run.trainer.networks()
    return networks["generator"]


def _config(job: EvaluationJob, version: ModelVersion, seed: int) -> dict[str, Any]:
    config: Mapping[str, Any] = version.config
    bounds = [each for each in (config.get("max_seconds"), job.config["max_seconds"]) if each is not None]
    return {**config, "seed": seed, "max_seconds": min(bounds, default=None)}
