"""The experiment: the same classifier on the same photographs, with and without further pictures.

Everything that is compared within a repeat shares its photographs, the classifier's first weights and its steps, so
that the differences are paired.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from flawsmith.models.evaluation.classifier import Classifier
from flawsmith.models.evaluation.copy_paste import pasted
from flawsmith.models.evaluation.labelled_photographs import LabelledPhotographs, Split
from flawsmith.models.evaluation.scores import Scores, scores

REAL, WITH_SYNTHETIC, SYNTHETIC, PASTE = "real", "real+synthetic", "synthetic", "paste"


@dataclass(frozen=True)
class Arm:
    """What a classifier is trained on.

    Attributes:
        name: ``real``: the photographs of the subset. ``real+synthetic``: generated images as well. ``synthetic``:
            these alone. ``paste``: the photographs, and pictures with parts of them pasted.
        ratio: generated or pasted pictures for each photograph; 0 for ``real``.
    """

    name: str
    ratio: float


@dataclass(frozen=True)
class Subset:
    """The photographs of one repeat.

    Attributes:
        per_type: photographs of each type.
        repeat: 0 …
        positions: (N,) int64, their squares.
    """

    per_type: int
    repeat: int
    positions: Tensor


Key = tuple[int, int, Arm]
"""What scores belong to: photographs of each type, repeat, arm."""

Sampler = Callable[[Subset, Mapping[int, int]], dict[int, Tensor]]
"""Makes pictures for a subset: by type, how many -> (count, C, side, side) uint8 each. The first ones of a longer call
are those of a shorter one."""


def arms(ratios: Sequence[float]) -> list[Arm]:
    """All arms. ``synthetic`` and ``paste`` have the ratio nearest to one picture for each photograph."""
    one = min(ratios, key=lambda each: abs(log(each)))
    return [Arm(REAL, 0.0), *(Arm(WITH_SYNTHETIC, each) for each in ratios), Arm(SYNTHETIC, one), Arm(PASTE, one)]


def derived_seed(seed: int, *parts: object) -> int:
    """A seed, 0 … 2^53 - 1, that depends on another one and on what it is for."""
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 11


class Experiment:
    """Photographs, their split, and the classifiers that are trained on parts of them.

    Args:
        photographs: all of them.
        split: which of them are held out.
        generated: positions of the types of which pictures are generated and pasted. Clean photographs, where they are
            a type, are always real.
        seed: decides subsets, pastes and classifiers.
        device: where classifiers live.
        steps: of each classifier.
    """

    def __init__(
        self,
        photographs: LabelledPhotographs,
        split: Split,
        generated: Sequence[int],
        seed: int,
        device: torch.device,
        steps: int,
    ) -> None:
        self.photographs, self.split, self.generated = photographs, split, list(generated)
        self.seed, self.device, self.steps = seed, device, steps

    @property
    def types(self) -> int:
        return len(self.photographs.types)

    def subset(self, per_type: int, repeat: int) -> Subset:
        """The first photographs of each type in the repeat's order: a smaller subset is part of a larger one."""
        random = torch.Generator().manual_seed(derived_seed(self.seed, "subset", repeat))
        chosen = [
            photographs[number]
            for photographs in self.split.left
            for number in torch.randperm(len(photographs), generator=random)[:per_type].tolist()
        ]
        return Subset(per_type, repeat, torch.cat(chosen))

    def held_out_by_type(self) -> list[int]:
        """How many photographs of each type are held out, in squares."""
        of_type = self.photographs.type_index[self.split.held_out].bincount(minlength=self.types)
        return [int(each) for each in of_type]

    def counts(self, subset: Subset, ratio: float) -> dict[int, int]:
        """How many pictures of each generated type go with the subset at a ratio; at least one of each."""
        of_type = self.photographs.type_index[subset.positions].bincount(minlength=self.types).tolist()
        return {each: max(1, round(ratio * of_type[each])) for each in self.generated}

    def training_images(self, subset: Subset, arm: Arm, synthetic: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
        """What the arm's classifier is trained on: (N, C, side, side) uint8 images and their (N,) int64 types.

        Args:
            subset: its photographs.
            arm: which arm.
            synthetic: by type, at least as many pictures as `counts` says for the arm.
        """
        real, types = self.photographs.images[subset.positions], self.photographs.type_index[subset.positions]
        if arm.name == REAL:
            return real, types
        counts = self.counts(subset, arm.ratio)
        if arm.name == PASTE:
            added = {each: self._pasted(subset, each, count) for each, count in counts.items()}
        else:
            added = {each: synthetic[each][:count] for each, count in counts.items()}
        if arm.name == SYNTHETIC:
            kept = ~torch.isin(types, torch.tensor(self.generated))
            real, types = real[kept], types[kept]
        further = [torch.full((len(images),), each) for each, images in added.items()]
        return torch.cat([real, *added.values()]), torch.cat([types, *further])

    def classifier(
        self, subset: Subset, arm: Arm, synthetic: Mapping[int, Tensor], seed: int | None = None
    ) -> Classifier:
        """The arm's classifier, before its first step; arguments as for `training_images`.

        Args:
            seed: instead of the one that all arms of the subset share.
        """
        images, types = self.training_images(subset, arm, synthetic)
        own = derived_seed(self.seed, "classifier", subset.per_type, subset.repeat)
        return Classifier(images, types, self.types, own if seed is None else seed, self.device, self.steps)

    def scores(self, classifier: Classifier) -> Scores:
        """A classifier's scores on the photographs held out."""
        held_out = self.split.held_out
        found = classifier.classify(self.photographs.images[held_out])
        return scores(found, self.photographs.type_index[held_out], self.types)

    def _pasted(self, subset: Subset, each_type: int, count: int) -> Tensor:
        images, types = self.photographs.images, self.photographs.type_index[subset.positions]
        members = subset.positions[types == each_type]
        clean = subset.positions[~torch.isin(types, torch.tensor(self.generated))]
        random = torch.Generator().manual_seed(derived_seed(self.seed, "paste", subset.repeat, each_type))
        masks = [self.photographs.masks[position] for position in members.tolist()]
        return pasted(images[members], masks, count, random, images[clean] if len(clean) else None)


def run(
    experiment: Experiment, per_type: Sequence[int], ratios: Sequence[float], repeats: int, sample: Sampler
) -> Iterator[tuple[Key, Scores]]:
    """The whole experiment at once: the scores of each arm with each subset."""
    for repeat in range(repeats):
        for count in per_type:
            subset = experiment.subset(count, repeat)
            synthetic = sample(subset, experiment.counts(subset, max(ratios)))
            for arm in arms(ratios):
                classifier = experiment.classifier(subset, arm, synthetic)
                while not classifier.over:
                    classifier.step()
                yield (count, repeat, arm), experiment.scores(classifier)
