"""A job's training run between its segments: the trainer, what was recorded beside it, and when it is over."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from flawsmith.core.domain.health import MAX_MEMORIZATION_RATE, data_warnings, diverged, judge
from flawsmith.core.domain.job_kinds.training import StopReason, TrainingJob
from flawsmith.core.domain.records import Health
from flawsmith.core.domain.training_config import trainer_config
from flawsmith.core.domain.training_request import EVALUATIONS
from flawsmith.core.services import Services
from flawsmith.models.presets.registry import build_trainer
from flawsmith.models.training.state import below
from flawsmith.models.training.trainer import Trainer
from flawsmith.worker.checkpoints import Checkpoint, newest_checkpoint
from flawsmith.worker.determinism import choose_kernels, random_states, restore_random_states, seed_process

log = logging.getLogger(__name__)

STEPS_UNREAD = 20  # at most: then losses are read, to see that they are numbers
HISTORY_POINTS = 1000  # recorded steps of a whole job
SHORTEST_BETWEEN_EVALUATIONS = 4.0  # seconds, in a run whose length is a time
NETWORKS = ("generator", "discriminator")
MAX_ROLLBACKS = 2  # times that a run goes back
# Of the distance: what another draw of photographs makes of it. Of steps that are as near the last one is the best: its
# rate is the lowest and its average the longest.
INDISTINCT = 0.02


class Diverged(Exception):
    """The run went wrong more often than `MAX_ROLLBACKS`, or before there was anything to go back to."""


@dataclass
class Best:
    """The networks at the last of the steps whose images were nearest to the photographs, among those that do not copy.

    ``memorization_rate`` is the share of near-copies, where it was measured.
    """

    step: int
    distance: float
    memorization_rate: float
    networks: dict[str, dict[str, Tensor]]


@dataclass
class Run:
    """A job in training.

    ``history`` holds the recorded steps: losses, and at evaluated ones the signals of `Trainer.evaluate`. ``rollbacks``
    says, for each time that it went back to its best networks, at which step and why.
    """

    job: TrainingJob
    dataset_digest: str
    trainer: Trainer
    device: torch.device
    threads: int
    history: list[dict[str, float]] = field(default_factory=list)
    best: Best | None = None
    data_warnings: list[str] = field(default_factory=list)
    rollbacks: list[tuple[int, str]] = field(default_factory=list)
    trained_seconds: float = 0.0
    saved_step: int = 0
    checkpoint_seconds: float = 0.0  # that the last one took
    measured: Mapping[str, Tensor | float] = field(default_factory=dict)  # by the last step
    evaluation_due: bool = False  # of the step that was just made
    _passed: dict[int, int] = field(default_factory=dict)  # see `_parts_passed`
    _states: tuple[dict[str, Any], dict[str, Tensor]] | None = None

    @property
    def step(self) -> int:
        return self.trainer.completed_steps

    @property
    def total_steps(self) -> int:
        return int(self.job.config["total_steps"])

    @property
    def progress(self) -> float:
        """How far it is, 0 to 1: of its steps or, where that is further, of its time."""
        of_time = self.trained_seconds / self.job.config["max_seconds"] if self.seconds_left < math.inf else 0.0
        return min(1.0, max(self.step / self.total_steps, of_time))

    @property
    def seconds_left(self) -> float:
        """Until it must end; infinity where it may take as long as it wants."""
        longest = self.job.config.get("max_seconds")
        return math.inf if longest is None else max(0.0, longest - self.trained_seconds)

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the run is over; None where it is not."""
        if self.step >= self.total_steps:
            return StopReason.COMPLETED
        if self.seconds_left == 0:
            return StopReason.MAX_SECONDS
        patience = self.job.config.get("patience")
        if patience is not None and self._evaluations_since_nearest() >= patience:
            return StopReason.PATIENCE
        return None

    @property
    def health(self) -> Health:
        """Judged by its samples once it is some way on, and at its end, however soon that is."""
        progress = 1.0 if self.stop_reason else self.progress
        return judge(self.data_warnings, [words for _, words in self.rollbacks], self.history, progress)

    def advance(self) -> bool:
        """One step; whether it was one that is recorded. Raises Diverged."""
        self.measured = self.trainer.step(self.progress)
        due, self.evaluation_due = self._passes(HISTORY_POINTS), self._passes(self._evaluations)
        if due or self.evaluation_due:
            recorded = self.record()
            self.evaluation_due = self.evaluation_due and recorded
            return recorded
        if self.step % STEPS_UNREAD == 0:
            self._go_back_if_no_number(self.losses)
        return False

    def record(self) -> bool:
        """Whether the step, which was not recorded, now is: one that gave no number is not, and the run goes back."""
        if self.rollbacks and self.rollbacks[-1][0] == self.step:
            return False
        losses = self.losses
        if self._go_back_if_no_number(losses):
            return False
        self.history.append({"step": self.step, **losses})
        return True

    @property
    def losses(self) -> dict[str, float]:
        """Of the last step. Reading them waits for it, which on a GPU is not to be done at every step."""
        return {name: float(value) for name, value in self.measured.items()}

    def evaluate(self) -> dict[str, float]:
        """Measures the step's images, and keeps its networks where none were better. Raises Diverged.

        Only of a recorded step.
        """
        signals = self.trainer.evaluate()
        self.history[-1] |= signals
        if self._as_near_as_any():
            self.best = Best(
                self.step, signals["distance"], signals.get("memorization_rate", 0.0), self.trainer.networks()
            )
        if words := diverged(self.history, since=self.rollbacks[-1][0] if self.rollbacks else 0):
            self._go_back(words)
        return signals

    @property
    def recorded(self) -> bool:
        """Whether the step was recorded."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    @property
    def evaluated(self) -> bool:
        """Whether the step was evaluated."""
        return self.recorded and "distance" in self.history[-1]

    def analysis(self) -> dict[str, Any]:
        """What the trainer found out, by the names of the defect types."""
        classes = self.job.config["classes"]
        return {name: dict(zip(classes, each, strict=True)) for name, each in self.trainer.analysis().items()}

    def enter(self) -> None:
        """Makes this process what it was when the run last had its turn in one."""
        choose_kernels(self.job.config.get("deterministic", False))
        torch.set_num_threads(self.threads)
        if self._states is None:
            seed_process(self.job.config["seed"])
        else:
            restore_random_states(*self._states, self.device)

    def leave(self) -> None:
        """Remembers what `enter` puts back."""
        self._states = random_states(self.device)

    def checkpoint(self) -> Checkpoint:
        """All of the run that must outlive this process."""
        self._states = random_states(self.device)
        states, tensors = self._states
        state = {**self.trainer.state_dict(), **{f"process.{name}": each for name, each in tensors.items()}}
        if self.best:
            for network, weights in self.best.networks.items():
                state |= {f"best.{network}.{name}": each for name, each in weights.items()}
        return Checkpoint(
            step=self.step,
            state=state,
            run=identity(self.job, self.dataset_digest),
            history=self.history,
            losses=self.losses,
            best={k: v for k, v in vars(self.best).items() if k != "networks"} if self.best else None,
            rollbacks=self.rollbacks,
            trained_seconds=self.trained_seconds,
            threads=self.threads,
            random_states=states,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on where the checkpoint stands."""
        beside = ("process.", "best.")  # see `checkpoint`
        own = {name: value for name, value in checkpoint.state.items() if not name.startswith(beside)}
        self.trainer.load_state_dict(own)
        self.history, self.saved_step = checkpoint.history, checkpoint.step
        self.trained_seconds = checkpoint.trained_seconds
        self._states = checkpoint.random_states, below(checkpoint.state, "process")
        if checkpoint.best:
            networks = {name: below(checkpoint.state, f"best.{name}") for name in NETWORKS}
            self.best = Best(**checkpoint.best, networks=networks)  # type: ignore[arg-type]
        self.rollbacks = [(step, words) for step, words in checkpoint.rollbacks]
        self._passed = {parts: self._parts_passed(parts) for parts in (HISTORY_POINTS, self._evaluations)}
        self.measured = checkpoint.losses
        if checkpoint.threads != self.threads:
            log.warning(
                "job %s: its checkpoint was made with %d CPU threads, this worker has %d: %s",
                self.job.id,
                checkpoint.threads,
                self.threads,
                "take_coalescer its number"
                if self.job.config.get("deterministic")
                else "the last bits of its weights may differ",
            )
            if self.job.config.get("deterministic"):
                self.threads = checkpoint.threads

    @property
    def _evaluations(self) -> int:
        """Fewer in a run of few seconds, of which looking is not to take most."""
        longest = self.job.config.get("max_seconds") or math.inf
        return int(min(EVALUATIONS, 1 + longest / SHORTEST_BETWEEN_EVALUATIONS))

    def _passes(self, parts: int) -> bool:
        """Whether the step that was just made is the first one, or ends one of so many equal parts of the run."""
        before, self._passed[parts] = self._passed.get(parts, 0), self._parts_passed(parts)
        return self._passed[parts] > before or self.step == 1

    def _parts_passed(self, parts: int) -> int:
        """In whole numbers: whatever may be rounded, a run that is taken up again goes on at the same steps."""
        passed = self.step * parts // self.total_steps
        return max(passed, int(parts * self.progress)) if self.seconds_left < math.inf else passed

    def _as_near_as_any(self) -> bool:
        """Whether no evaluated step's samples were nearer to the photographs than the last one's, but by chance."""
        (copies, distance), (least_copies, least_distance) = _rank(self.history[-1]), self._nearest()[0]
        return math.isfinite(distance) and (copies, distance) <= (least_copies, least_distance + INDISTINCT)

    def _nearest(self) -> tuple[tuple[bool, float], float]:
        """The rank and the step of the evaluated step whose samples were nearest to the photographs."""
        return min((_rank(point), point["step"]) for point in self.history if "distance" in point)

    def _evaluations_since_nearest(self) -> int:
        _, nearest = self._nearest() if any("distance" in point for point in self.history) else (None, 0)
        return sum("distance" in point and point["step"] > nearest for point in self.history)

    def _go_back_if_no_number(self, losses: dict[str, float]) -> bool:
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            self._go_back(f"{', '.join(bad)} became NaN or infinite")
        return bool(bad)

    def _go_back(self, why: str) -> None:
        """Trains on from the best networks, more gently. Raises Diverged."""
        if self.best is None or len(self.rollbacks) >= MAX_ROLLBACKS:
            tried = f" after going back {len(self.rollbacks)} times" if self.rollbacks else ""
            kept = f"the best networks, of step {self.best.step}, are in its checkpoints" if self.best else ""
            raise Diverged(
                f"{why} at step {self.step}{tried}; {kept or 'there is nothing to go back to'}. "
                "Lower the learning rates, or try another seed."
            )
        self.trainer.load_networks(self.best.networks)
        self.trainer.reduce_learning_rate()
        words = f"{why} at step {self.step}: went back to step {self.best.step}, more gently"
        self.rollbacks.append((self.step, f"{words} ({len(self.rollbacks) + 1} of at most {MAX_ROLLBACKS})"))
        log.warning("job %s: %s", self.job.id, self.rollbacks[-1][1])


def _rank(evaluated: Mapping[str, float]) -> tuple[bool, float]:
    """The less, the better."""
    distance = evaluated["distance"]
    return evaluated.get("memorization_rate", 0.0) > MAX_MEMORIZATION_RATE, distance if math.isfinite(
        distance
    ) else math.inf


def load_or_resume(job: TrainingJob, services: Services, device: torch.device, threads: int) -> Run:
    """The job's run where its newest whole checkpoint stands, or at its start.

    Raises:
        UnknownDataset: its photographs were deleted.
        UnknownModel: the version that it is to start from was deleted.
    """
    choose_kernels(job.config.get("deterministic", False))  # building the networks computes, too
    torch.set_num_threads(threads)
    images, type_index, classes = services.datasets.load(job.dataset, job.config["resolution"])
    trainer = build_trainer(
        job.preset,
        trainer_config(job.preset, job.config),
        torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(type_index),
        len(classes),
        device,
    )
    dataset = services.datasets.get(job.dataset)
    run = Run(job, dataset.digest, trainer, device, threads, data_warnings=data_warnings(dataset))
    checkpoint = newest_checkpoint(services.store, job.id, identity(job, run.dataset_digest))
    if checkpoint:
        run.restore(checkpoint)
    elif job.config.get("init_from"):
        origin = services.registry.resolve(job.config["init_from"])
        folder = services.registry.folder(origin)
        trainer.load_networks({name: load_file(folder / f"{name}.safetensors") for name in NETWORKS})
    return run


def identity(job: TrainingJob, dataset_digest: str) -> dict[str, str]:
    """What a checkpoint must be of to be the job's: digests of its resolved configuration and of its dataset."""
    config = json.dumps(job.config, sort_keys=True).encode()
    return {"config_sha256": hashlib.sha256(config).hexdigest(), "dataset_digest": dataset_digest}
