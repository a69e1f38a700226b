"""A generator's photographs, prepared for a verdict: what spaces learn from, and what samples are compared with."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flawsmith.models.quality.calibration import Split, random_splits
from flawsmith.models.quality.controls import HALF, making, modes
from flawsmith.models.quality.space import Lesson
from flawsmith.models.quality.steps import in_parts
from flawsmith.models.quality.wiping import filled, masks_of

COMPARED = 200  # photographs of all types together, of 64 pixels a side; of larger ones fewer, but at least:
LEAST_COMPARED = 40  # of a type
SIDE = 64
FEWEST = 20  # photographs of a type, from which on a measure can be calibrated
FEWEST_HELD_OUT = 10  # photographs of a type, from which on they are the reference; below, parts of the others are


@dataclass(frozen=True)
class JudgedPhotographs:
    """The photographs that a generator is judged by.

    Attributes:
        classes: the defect types.
        training: for each type, photographs trained on, (N, C, side, side) uint8, N > 1.
        holdout: for each type, photographs never trained on, (K, C, side, side) uint8; K may be 0.
        training_masks, holdout_masks: for each of them, the pixels that show a defect, (side, side) bool, or None.
    """

    classes: list[str]
    training: list[Tensor]
    holdout: list[Tensor]
    training_masks: list[list[Tensor | None]]
    holdout_masks: list[list[Tensor | None]]


@dataclass(frozen=True)
class TypePhotographs:
    """Some photographs of one type, the held-out ones last, with everything made from them.

    Attributes:
        images: (N, C, side, side) uint8.
        controls: of the images, by what was done; (N, C, side, side) uint8 each.
        elsewhere: the images, filled in where they show no defect, (N, C, side, side) uint8.
        masks: pixels that show a defect, (N, side, side) bool.
        known: how many of them were trained on; the others were held out.
    """

    images: Tensor
    controls: dict[str, Tensor]
    elsewhere: Tensor
    masks: Tensor
    known: int

    @property
    def calibrates(self) -> bool:
        """Whether they are enough to calibrate a measure."""
        return len(self.images) >= FEWEST

    @property
    def in_color(self) -> bool:
        return self.images.shape[1] == 3

    @property
    def has_holdout(self) -> bool:
        return len(self.images) - self.known >= FEWEST_HELD_OUT


@dataclass(frozen=True)
class Pool:
    """Photographs of one type that no space has learned from, and how they are split.

    Attributes:
        members: their positions in the type's photographs, (P,) int64.
        splits: of the pool, into a reference and as many others.
        references: splits whose references samples are compared with: the held-out photographs where there are some.
        kept: choices of photographs that count as controls, (P,) bool each.
    """

    members: Tensor
    splits: list[Split]
    references: list[Split]
    kept: dict[str, Tensor]


@dataclass(frozen=True)
class Fold:
    """A part of the photographs to learn from, and for each type the pool of the others."""

    lesson: Lesson
    pools: list[Pool]


def preparing(photographs: JudgedPhotographs) -> Generator[None, None, list[TypePhotographs]]:
    """Each type's photographs with their controls, chosen at random where they are many, in steps of about a second.

    The same photographs give the same.
    """
    side = photographs.training[0].shape[-1]
    most = max(LEAST_COMPARED, COMPARED * SIDE // max(SIDE, side) // len(photographs.classes))
    parts = (photographs.training, photographs.holdout, photographs.training_masks, photographs.holdout_masks)
    found = []
    for training, holdout, training_masks, holdout_masks in zip(*parts, strict=True):
        random = torch.Generator().manual_seed(0)
        held_out = torch.randperm(len(holdout), generator=random)[: most // 2]
        chosen = torch.randperm(len(training), generator=random)[: most - len(held_out)]
        images = torch.cat([training[chosen], holdout[held_out]])
        known = [training_masks[each] for each in chosen] + [holdout_masks[each] for each in held_out]
        found.append((yield from _preparing_type(images, known, len(chosen))))
    return found


def _preparing_type(
    images: Tensor, known: Sequence[Tensor | None], trained_on: int
) -> Generator[None, None, TypePhotographs]:
    masks = yield from in_parts(images, lambda part: masks_of(images[part], known[part]))
    others = masks.roll(len(images) // 3 or 1, 0) & ~masks
    elsewhere = yield from in_parts(images, lambda part: filled(images[part], others[part], 1))
    made = yield from making(images, masks)
    return TypePhotographs(images, made, elsewhere, masks, trained_on)


def folds(types: list[TypePhotographs]) -> list[Fold]:
    """One fold where every type has held-out photographs, else two, so that each photograph is compared once."""
    return [_fold(types, parity) for parity in range(1 if all(each.has_holdout for each in types) else 2)]


def _fold(types: list[TypePhotographs], parity: int) -> Fold:
    lessons = [_part(each.known, parity) for each in types]
    names = types[0].controls
    lesson = Lesson(
        images=torch.cat([each.images[of] for each, of in zip(types, lessons, strict=True)]),
        controls={
            name: torch.cat([each.controls[name][of] for each, of in zip(types, lessons, strict=True)])
            for name in names
        },
        elsewhere=torch.cat([each.elsewhere[of] for each, of in zip(types, lessons, strict=True)]),
        masks=torch.cat([each.masks[of] for each, of in zip(types, lessons, strict=True)]),
    )
    return Fold(lesson, [_pool(each, parity) for each in types])


def _part(count: int, parity: int) -> Tensor:
    """Every second of so many photographs; all of them where they are too few to calibrate anything."""
    return torch.arange(parity, count, 2) if count >= FEWEST // 2 else torch.arange(count)


def _pool(photographs: TypePhotographs, parity: int) -> Pool:
    taken = _part(photographs.known, 1 - parity)
    held_out = torch.arange(photographs.known, len(photographs.images))
    members = torch.cat([taken, held_out])
    if photographs.has_holdout:
        reference = torch.arange(len(taken), len(members))
        splits = random_splits(len(members), min(len(held_out), len(members) // 2))
        references = [(reference, others) for _, others in splits]
    else:
        splits = references = random_splits(len(members), len(members) // 2)
    kept = {HALF: modes(photographs.images[members])} if photographs.calibrates else {}
    return Pool(members, splits, references, kept)
