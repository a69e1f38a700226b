"""The leading measure: spaces that see the defects, each on its own scale from photographs to defects removed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flawsmith.models.quality.calibration import Scale
from flawsmith.models.quality.controls import REMOVED
from flawsmith.models.quality.judging import SpaceFigures, TypeFigures
from flawsmith.models.quality.space import Space

COMBINED = "combined"


def counts(space: Space, figures: SpaceFigures) -> bool:
    """Whether the space ranks photographs before every control that it claims to see."""
    return all(figures.scale.sees(name) for name in space.claims if name in figures.scale.controls)


def counting(figures: TypeFigures, spaces: Sequence[Space]) -> list[Space]:
    """The spaces that count for the type; none where its photographs are too few to say so."""
    if not figures.photographs.calibrates:
        return []
    return [each for each in spaces if each.name in figures.spaces and counts(each, figures.spaces[each.name])]


def combined(figures: TypeFigures, spaces: Sequence[Space]) -> SpaceFigures | None:
    """The mean over the counting spaces that see defects removed: those that lead, else all. None where there is none.

    In each space, 0 is the mean distance of photographs and 1 that of photographs whose defects were removed.
    """
    seeing = [each for each in counting(figures, spaces) if REMOVED in each.claims]
    if not seeing:
        return None
    parts = [figures.spaces[each.name] for each in [each for each in seeing if each.leads] or seeing]
    units = [each.scale.controls[REMOVED].mean().item() - each.scale.usual for each in parts]
    usual = [each.scale.usual for each in parts]

    def mean(found: Sequence[Tensor]) -> Tensor:
        scaled = [(each - zero) / one for each, zero, one in zip(found, usual, units, strict=True)]
        return torch.stack(scaled).mean(0)

    names, likenesses = parts[0].scale.controls, parts[0].likeness
    return SpaceFigures(
        scale=Scale(
            mean([each.scale.photographs for each in parts]),
            {name: mean([each.scale.controls[name] for each in parts]) for name in names},
        ),
        distances=mean([each.distances for each in parts]),
        likeness={name: mean([torch.tensor(each.likeness[name]) for each in parts]).item() for name in likenesses},
        diversity=sum(each.diversity for each in parts) / len(parts),
    )
