"""Loads a job's training run, and maps a run to its checkpoint and back."""

import hashlib
import json
import logging

import torch
from torch import Tensor

from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.health import data_warnings
from flawsmith.core.domain.job_kinds.training import TrainingJob
from flawsmith.core.domain.training_config import trainer_config
from flawsmith.core.services import Services
from flawsmith.models.training.state import below
from flawsmith.worker.best_step import Best
from flawsmith.worker.checkpoints import Checkpoint, newest_checkpoint
from flawsmith.worker.determinism import choose_kernels, random_states
from flawsmith.worker.devices.trainer_parts import TrainerParts
from flawsmith.worker.evaluation_budget import EvaluationBudget
from flawsmith.worker.held_out import holdout_rule
from flawsmith.worker.prior_file import NETWORKS
from flawsmith.worker.start import load_start
from flawsmith.worker.training_masks import load_masks
from flawsmith.worker.training_run import Run

log = logging.getLogger(__name__)


def load_or_resume(job: TrainingJob, services: Services, device: torch.device, threads: int) -> Run:
    """The job's run at its newest valid checkpoint, or at its start.

    Raises:
        UnknownDataset: its photographs were deleted.
        UnknownModel: the version that it starts from was deleted.
        UnknownPrior, DamagedPrior: the prior that it starts from is not in this installation, or not as it was.
    """
    choose_kernels(job.config.get("deterministic", False))  # building the networks computes as well
    torch.set_num_threads(threads)
    squares = services.datasets.load(job.dataset, job.config["resolution"], crop_of(job.config))
    parts = TrainerParts(
        job.preset,
        trainer_config(job.preset, job.config),
        len(squares.classes),
        torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(squares.type_index),
        torch.from_numpy(squares.holdout_units(job.config)),
        holdout_rule(job.config, squares, job.dataset, services),
        load_masks(job.dataset, job.config, services),
    )
    trainer = parts.build(device)
    dataset = services.datasets.get(job.dataset)
    measured = services.datasets.measured(dataset, crop_of(job.config), job.config["resolution"])
    run = Run(job, dataset.digest, trainer, device, threads, data_warnings=data_warnings(measured, job.config))
    run.parts = parts if job.devices > 1 else None
    checkpoint = newest_checkpoint(services.store, job.id, identity(job, run.dataset_digest))
    if checkpoint:
        restore(run, checkpoint)
    else:
        load_start(trainer, job.config, services)
    return run


def identity(job: TrainingJob, dataset_digest: str) -> dict[str, str]:
    """Digests of a job's resolved configuration and of its dataset; a checkpoint of the job has the same."""
    config = json.dumps(job.config, sort_keys=True).encode()
    return {"config_sha256": hashlib.sha256(config).hexdigest(), "dataset_digest": dataset_digest}


def to_checkpoint(run: Run) -> Checkpoint:
    """All of the run that must outlive this process, the process's random states included."""
    states, tensors = run.random_states = random_states(run.device)
    return Checkpoint(
        step=run.step,
        state={
            **run.trainer.state_dict(),
            **{f"process.{name}": each for name, each in tensors.items()},
            **_best_tensors(run.best),
        },
        run=identity(run.job, run.dataset_digest),
        history=run.history,
        losses=run.losses,
        best={name: value for name, value in vars(run.best).items() if name != "networks"} if run.best else None,
        rollbacks=run.rollbacks,
        trained_seconds=run.trained_seconds,
        evaluation_seconds={name: value for name, value in vars(run.budget).items() if name != "max_seconds"},
        threads=run.threads,
        random_states=states,
    )


def restore(run: Run, checkpoint: Checkpoint) -> None:
    """Puts a run that has not begun where its checkpoint is."""
    others = ("process.", "best.")
    own = {name: value for name, value in checkpoint.state.items() if not name.startswith(others)}
    run.trainer.load_state_dict(own)
    run.history, run.saved_step = checkpoint.history, checkpoint.step
    run.trained_seconds = checkpoint.trained_seconds
    run.budget = EvaluationBudget(run.budget.max_seconds, **checkpoint.evaluation_seconds)
    run.random_states = checkpoint.random_states, below(checkpoint.state, "process")
    if checkpoint.best:
        networks = {name: below(checkpoint.state, f"best.{name}") for name in NETWORKS}
        run.best = Best(**checkpoint.best, networks=networks)  # type: ignore[arg-type]
    run.rollbacks = [(step, words) for step, words in checkpoint.rollbacks]
    run.cadence.resume(run.step, run.progress)
    run.measured = checkpoint.losses
    if checkpoint.threads != run.threads:
        _keep_threads_if_deterministic(run, checkpoint.threads)


def _best_tensors(best: Best | None) -> dict[str, Tensor]:
    networks = best.networks if best else {}
    return {f"best.{name}.{key}": each for name, weights in networks.items() for key, each in weights.items()}


def _keep_threads_if_deterministic(run: Run, threads: int) -> None:
    """Sums depend on the number of threads, in their last bits."""
    deterministic = run.job.config.get("deterministic")
    outcome = f"training with {threads}" if deterministic else "the last bits of the weights may differ"
    log.warning(
        "job %s: its checkpoint was made with %d CPU threads, this worker has %d: %s",
        run.job.id,
        threads,
        run.threads,
        outcome,
    )
    if deterministic:
        run.threads = threads
