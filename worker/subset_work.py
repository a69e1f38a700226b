"""One subset of an evaluation: a generator is trained, images are sampled, and a classifier is trained for each arm."""

import torch
from torch import Tensor

from flawsmith.core.domain.job_kinds.evaluation import EvaluationJob
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.models.evaluation.classifier import Classifier
from flawsmith.models.evaluation.experiment import Arm, Experiment, Subset, arms, derived_seed
from flawsmith.models.evaluation.scores import Scores
from flawsmith.models.training.state import below
from flawsmith.worker.checkpoints import Checkpoint
from flawsmith.worker.determinism import choose_kernels
from flawsmith.worker.image_sampler import ImageSampler
from flawsmith.worker.run_checkpoint import restore, to_checkpoint
from flawsmith.worker.subset_images import SubsetImages, retrained_generator
from flawsmith.worker.subset_training import advance, generator_weights, subset_run
from flawsmith.worker.training_run import Run
from flawsmith.worker.version_sampler import load_sampler

SEEDS_USED = 2**52  # of a generator's; leaves room after the first one


class SubsetWork:
    """Where an evaluation is within one subset. Which part it is in follows from its step alone."""

    def __init__(
        self,
        job: EvaluationJob,
        version: ModelVersion,
        experiment: Experiment,
        subset: Subset,
        services: Services,
        device: torch.device,
        threads: int,
    ) -> None:
        self.job, self.version, self.experiment, self.subset = job, version, experiment, subset
        self.services, self.device, self.threads = services, device, threads
        self.training_steps = int(job.config["training_steps"])
        self.arms = arms(job.config["ratios"])
        self.run: Run | None = None  # while the generator trains
        self.weights: dict[str, Tensor] = {}  # of the generator, once it is trained
        self.images: SubsetImages | None = None
        self.classifier: Classifier | None = None  # in training
        self.classified = 0  # arms
        if job.config["retrain"]:
            self.run = self._new_run()
        else:
            self.images = self._new_images()

    @property
    def step(self) -> int:
        if self.run:
            return int(self.run.progress * self.training_steps)
        own = self.classifier.completed_steps if self.classifier else 0
        return self.training_steps + self.classified * self.experiment.steps + own

    @property
    def over(self) -> bool:
        return self.classified == len(self.arms)

    def enter(self) -> None:
        """Gives this process the random states that training left the last one with."""
        if self.run:
            self.run.enter()

    def leave(self) -> None:
        if self.run:
            self.run.leave()

    def advance(self) -> tuple[Arm, Scores] | None:
        """Makes one step, or one pass of the generator; returns the scores of an arm whose classifier is trained now.

        Raises:
            Diverged: the generator's training.
        """
        if self.run:
            self._train(self.run)
        elif self.images and not self.images.complete:
            self.images.sample_next()
        else:
            return self._classify()
        return None

    def checkpoint(self) -> Checkpoint:
        """All that must outlive this process; the images are sampled again."""
        if self.run:
            return to_checkpoint(self.run)
        state = {f"generator.{name}": each for name, each in self.weights.items()}
        if self.classifier:
            state |= {f"classifier.{name}": each for name, each in self.classifier.state_dict().items()}
        return Checkpoint(self.step, state, {}, threads=self.threads)

    def restore(self, checkpoint: Checkpoint, step: int) -> None:
        """Goes to what `checkpoint` returned at this step."""
        if self.run and step < self.training_steps:
            restore(self.run, checkpoint)
            return
        self.run = None
        self.weights = below(checkpoint.state, "generator")
        images = self.images = self._new_images()
        self.classified, own = divmod(step - self.training_steps, self.experiment.steps)
        if own:
            while not images.complete:
                images.sample_next()
            self.classifier = self._new_classifier()
            self.classifier.load_state_dict(below(checkpoint.state, "classifier"))

    def _train(self, run: Run) -> None:
        advance(run)
        if run.stop_reason:
            self.weights, self.run = generator_weights(run), None
            choose_kernels(False)
            torch.set_num_threads(self.threads)
            self.images = self._new_images()

    def _classify(self) -> tuple[Arm, Scores] | None:
        classifier = self.classifier = self.classifier or self._new_classifier()
        classifier.step()
        if not classifier.over:
            return None
        arm, scores = self.arms[self.classified], self.experiment.scores(classifier)
        self.classifier, self.classified = None, self.classified + 1
        return arm, scores

    def _new_run(self) -> Run:
        photographs, positions = self.experiment.photographs, self.subset.positions
        of_version = photographs.type_index[positions] < len(self.version.classes)
        chosen = positions[of_version]
        return subset_run(
            self.job,
            self.version,
            photographs.images[chosen],
            photographs.type_index[chosen],
            photographs.photograph[chosen],
            [photographs.masks[each] for each in chosen.tolist()],
            self._seed("generator"),
            self.services,
            self.device,
            self.threads,
        )

    def _new_images(self) -> SubsetImages:
        counts = self.experiment.counts(self.subset, max(self.job.config["ratios"]))
        return SubsetImages(self._generator(), counts, self._seed("images") % SEEDS_USED)

    def _generator(self) -> ImageSampler:
        if self.weights:
            return retrained_generator(self.version, self.weights, self.device)
        return load_sampler(self.version, self.services.registry, self.device)

    def _new_classifier(self) -> Classifier:
        assert self.images is not None
        return self.experiment.classifier(self.subset, self.arms[self.classified], self.images.by_type())

    def _seed(self, purpose: str) -> int:
        return derived_seed(self.job.config["seed"], purpose, self.subset.per_type, self.subset.repeat)
