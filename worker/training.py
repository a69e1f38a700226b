"""Training in a worker: steps of a training run, its evaluations, checkpoints and the model version it publishes."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from PIL import Image
from prometheus_client import Counter, Gauge
from safetensors.torch import save_file
from torch import Tensor

from flawsmith.core.domain.image_modes import mode_of
from flawsmith.core.domain.job_kinds.training import TrainingJob, TrainingProgress
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.presets.registry import PRESETS, UnknownPreset
from flawsmith.core.domain.records import Health, ModelVersion
from flawsmith.core.domain.training_config import WrongConfig
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.datasets.annotations import LaterFormat
from flawsmith.core.store.images import encode_png, grid, to_image
from flawsmith.core.store.interface import Claim
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.priors import UnknownPrior
from flawsmith.core.store.registry import UnknownModel
from flawsmith.models.inference.session import device_kind
from flawsmith.models.quality.registry import LEADING
from flawsmith.models.training.fixed_samples import PREVIEW_COLUMNS
from flawsmith.models.training.trainer import PreviewsMasks, Trainer
from flawsmith.worker.celery import device, device_locks, quick_services, services, threads, training_turns
from flawsmith.worker.checkpoints import NewerFormat, save_checkpoint
from flawsmith.worker.devices.spread import Spread
from flawsmith.worker.executor import Executor, Result, Segment, Work
from flawsmith.worker.generator_file import save_generator
from flawsmith.worker.pasting import CannotPaste, PasteWork
from flawsmith.worker.prior_file import DamagedPrior
from flawsmith.worker.published_generator import PublishedGenerator
from flawsmith.worker.qualification import qualify
from flawsmith.worker.report import enqueue_report
from flawsmith.worker.rollback import Diverged
from flawsmith.worker.run_checkpoint import load_or_resume, to_checkpoint
from flawsmith.worker.start import start_generator
from flawsmith.worker.training_masks import NoMasks, health_with_masks, trained_labelling
from flawsmith.worker.training_run import Run
from flawsmith.worker.verdict import VersionJudgement, health_with, verdict_in_steps
from flawsmith.worker.version_attributes import version_attributes
from flawsmith.worker.version_findings import save_findings

STEPS = Counter("flawsmith_training_steps_total", "Training steps done by this worker")
IMAGES = Counter("flawsmith_images_trained_total", "Real images shown to a discriminator by this worker")
SIGNALS = Gauge(
    "flawsmith_training_signal", "The last evaluation of this worker's training job; see docs/presets.md", ["signal"]
)


class TrainingExecutor(Executor):
    """Opens training jobs."""

    lasting = (
        CannotPaste,
        DamagedPrior,
        Diverged,
        LaterFormat,
        NewerFormat,
        NoMasks,
        UnknownDataset,
        UnknownModel,
        UnknownPreset,
        UnknownPrior,
        WrongConfig,
    )

    def open(self, job: Job) -> Work:
        training_job = cast(TrainingJob, job)
        if not PRESETS[training_job.preset].has_networks:
            return PasteWork(training_job)
        run = load_or_resume(training_job, services(), device(), threads())
        quick_services().history.record(job.id, run.history, replace=True)
        return TrainingWork(training_job, run)


class TrainingWork(Work):
    """A training run and how fast it is."""

    job: TrainingJob

    def __init__(self, job: TrainingJob, run: Run) -> None:
        super().__init__(job, run.saved_step)
        self.run = run
        self._spread: Spread | None = None  # during a segment of a job on several devices
        self._published: tuple[dict[str, Any], VersionJudgement]  # what `before_finish` found out
        self._reported_at, self._reported_step = time.monotonic(), run.step

    @property
    def step(self) -> int:
        return self.run.step

    @property
    def over(self) -> bool:
        return self.run.stop_reason is not None

    @contextmanager
    def active(self) -> Iterator[None]:
        self.run.enter()
        try:
            with self._spread_steps():
                self._reported_at, self._reported_step = time.monotonic(), self.step
                yield
        finally:
            self.run.leave()

    def advance(self, segment: Segment) -> None:
        """Makes one step, and evaluates it where that is due. Raises Diverged, and RankLost on several devices."""
        if self._spread:
            self._spread.keep_to_free_devices()
        self.run.awaits_steps = training_turns().shared
        if self.run.train(partial(self._evaluate, segment)):
            self.unrecorded.append(self.run.history[-1])
        STEPS.inc()

    def conclude(self, segment: Segment) -> None:
        """Evaluates the last step, so that it can be the best one."""
        if self.run.conclude(partial(self._evaluate, segment)):
            self.unrecorded.append(self.run.history[-1])

    def report(self) -> dict[str, Any]:
        """Progress and speed since the last report, losses, health and the newest checkpoint's step."""
        losses = {name: value for name, value in self.run.losses.items() if math.isfinite(value)}
        return {
            "progress": self._progress(),
            "losses": losses,
            "health": self.run.health,
            "checkpoint_step": self.saved_step or None,
            **({"device_use": self._spread.use} if self._spread else {}),
        }

    def save(self, segment: Segment) -> None:
        save_checkpoint(services().store, segment.claim, self.job.id, to_checkpoint(self.run))

    def before_finish(self) -> Iterator[None]:
        """Judges the generator that is about to be published, as it will be published."""
        run, essentials = self.run, _essentials(self.run)
        yield
        generator = PublishedGenerator(
            _generator_weights(run),
            device=run.device,
            **{name: essentials[name] for name in ("preset", "config", "classes", "precision", "qualified_on")},
        )
        essentials["attributes"] = yield from version_attributes(generator, run.job, run.dataset_digest, services())
        weights = _generator_weights(run)
        essentials["labelling"] = yield from trained_labelling(run.job, weights, run.dataset_digest, services())
        yield
        self._published = (
            essentials,
            (
                yield from verdict_in_steps(
                    generator,
                    start=start_generator(_generator_weights(run), essentials, services(), run.device),
                    preset=run.job.preset,
                    config=run.job.config,
                    dataset_digest=run.dataset_digest,
                    services=services(),
                )
            ),
        )

    def finish(self, segment: Segment) -> Result:
        run, (essentials, judgement) = self.run, self._published
        health = health_with_masks(run.health, essentials["labelling"])
        health = health_with(health, judgement.judged.verdict)
        version = _publish(run, segment.claim, essentials, judgement, health)
        enqueue_report(version, self.job.priority)
        reason = f"published {version.ref}, of step {version.step}"
        if version.verdict:
            reason += f"; its verdict is {version.verdict.state}"
        kept = self.saved_step if services().settings.keep_checkpoints else None
        fields = {"produced": version.ref, "verdict": version.verdict, "health": health}
        return Result(reason, {**fields, "stop_reason": run.stop_reason, "checkpoint_step": kept})

    @contextmanager
    def _spread_steps(self) -> Iterator[None]:
        """Has several devices make the steps of the block, if the job asks for them."""
        run = self.run
        if run.parts is None:
            yield
            return
        staged, settings = services().store.staged(), services().settings
        packages, memory = settings.extra_preset_packages, settings.device_memory_share
        with Spread(run, run.parts, device_locks(), staged, packages, memory) as self._spread:
            try:
                yield
            finally:
                self._spread = None

    def _progress(self) -> TrainingProgress:
        run, batch_size = self.run, self.run.trainer.batch_size
        images = (run.step - self._reported_step) * batch_size
        IMAGES.inc(images)
        seconds = max(time.monotonic() - self._reported_at, 1e-9)
        self._reported_at, self._reported_step = time.monotonic(), run.step
        rate = images / seconds or self.job.progress.images_per_second
        images_left = (run.total_steps - run.step) * batch_size
        return TrainingProgress(
            step=run.step,
            total_steps=run.total_steps,
            epoch=round(run.step / run.trainer.steps_per_epoch, 3),
            images_per_second=round(rate, 2) if rate else None,
            trained_seconds=round(run.trained_seconds, 3),
            eta_seconds=round(min(images_left / rate, run.seconds_left), 1) if rate else None,
        )

    def _evaluate(self, segment: Segment) -> None:
        """Measures the samples of the step and writes their grid. Raises Diverged."""
        signals = self.run.evaluate()
        sheet = _sample_grid(self.run.trainer)
        segment.claim.write_bytes(JobFolder(services().store, self.job.id).sample(self.step), encode_png(sheet))
        for name, value in signals.items():
            SIGNALS.labels(name).set(value)
        segment.emit("samples", {"step": self.step, "distance": signals[LEADING]})


def _sample_grid(trainer: Trainer) -> Image.Image:
    """The preview; in a run with masks, each row of samples has their masks below it."""
    rows = trainer.preview().split(PREVIEW_COLUMNS)
    masks = trainer.preview_masks() if isinstance(trainer, PreviewsMasks) else None
    if masks is not None:
        pairs = zip(rows, masks.split(PREVIEW_COLUMNS), strict=True)
        rows = tuple(torch.cat([images, below.expand_as(images)]) for images, below in pairs)
    pixels = torch.cat(rows).permute(0, 2, 3, 1).numpy()
    return grid(list(map(to_image, pixels)), PREVIEW_COLUMNS)


def _generator_weights(run: Run) -> dict[str, Tensor]:
    """Of the best step."""
    assert run.best is not None
    return run.best.networks["generator"]


def _essentials(run: Run) -> dict[str, Any]:
    """The fields of `ModelVersion` that a generator's file carries."""
    config = run.job.config
    return {
        "preset": run.job.preset,
        "classes": config["classes"],
        "resolution": config["resolution"],
        "mode": mode_of(config["channels"]),
        "config": config,
        "precision": qualify(run.job.preset, config, _generator_weights(run), run.device),
        "qualified_on": device_kind(run.device),
    }


def _publish(
    run: Run, claim: Claim, essentials: dict[str, Any], judgement: VersionJudgement, health: Health
) -> ModelVersion:
    """Publishes the networks of the best step as the next version of the job's model."""
    assert run.best is not None
    with claim.staged() as staged:
        for name, weights in run.best.networks.items():
            if name != "generator":
                save_file(weights, staged / f"{name}.safetensors")
        save_findings(
            judgement,
            staged,
            preset=run.job.preset,
            config=run.job.config,
            dataset_digest=run.dataset_digest,
            services=services(),
        )
        digest = save_generator(_generator_weights(run), staged / "generator.safetensors", essentials)
        return services().registry.publish(
            run.job.model,
            staged,
            **essentials,
            labels=run.job.config.get("labels"),
            weights_sha256=digest,
            training_job=run.job.id,
            dataset_digest=run.dataset_digest,
            step=run.best.step,
            distance=run.best.distance,
            health=health,
            verdict=judgement.judged.verdict,
            analysis=run.analysis(),
        )
