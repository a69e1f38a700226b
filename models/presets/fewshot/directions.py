"""Directions of images' lines, as both networks are told them.

A direction is a vector (s cos 2t, s sin 2t): t is the angle of an image's lines, counter-clockwise from level, and s
how strong the direction is, 0 to 1. Lines have no front, so t and t + 180 degrees are the same vector. Conditioning on
a continuous label with vicinal matching: CcGAN, Ding et al. 2021, arXiv:2011.07466.

Where photographs are divided into kinds (see `kinds`), the kind follows the direction, one-hot: (B, 2 + K), K kinds. In
one vector, since both are drawn together: an image has the direction and the kind of one photograph.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from flawsmith.models.quality.orientation import angles_and_strengths
from flawsmith.models.training.augmentation import AugmentationParameters

ENTRIES = 256  # directions that a generator keeps of each type
VECTOR, FEATURES = 2, 4  # lengths of a direction's vector and of `direction_features`
DRAWN_BY = 2  # numbers of a latent that draw a direction
VICINITY = 3.0  # degrees: standard deviation of the difference between a photograph's direction and its label
STRONG = 0.75  # quantile of the photographs' strengths for an angle that no photograph has
WHOLE = 180.0  # degrees


def direction_vectors(images: Tensor) -> Tensor:
    """Measures images, (N, C, side, side) uint8, on their device: (N, 2) float32."""
    angles, strengths = angles_and_strengths(images)
    return _vectors(angles, strengths)


def direction_features(directions: Tensor) -> Tensor:
    """(B, 2 + K) -> (B, 4): s cos 2t, s sin 2t, s cos 4t, s sin 4t. The last two tell 30 degrees from 60 better."""
    cosine, sine = directions[:, :VECTOR].unbind(1)
    strength = directions[:, :VECTOR].norm(dim=1).clamp_min(1e-6)
    doubled = [(cosine.square() - sine.square()) / strength, 2 * cosine * sine / strength]
    return torch.stack([cosine, sine, *doubled], 1)


def rotated_directions(directions: Tensor, degrees: Tensor) -> Tensor:
    """Turns (B, 2 + K) by (B,) degrees, counter-clockwise."""
    cosine, sine = directions[:, :VECTOR].unbind(1)
    by = torch.deg2rad(2 * degrees)
    turned = torch.stack([cosine * by.cos() - sine * by.sin(), cosine * by.sin() + sine * by.cos()], 1)
    return torch.cat([turned, directions[:, VECTOR:]], 1)


def augmented_directions(directions: Tensor, parameters: AugmentationParameters) -> Tensor:
    """The directions of images after their augmentation: (B, 2 + K) -> (B, 2 + K)."""
    cosine, sine = directions[:, :VECTOR].unbind(1)
    turned = [torch.where(parameters.transposed, -cosine, cosine), torch.where(parameters.mirrored, -sine, sine)]
    return torch.cat([torch.stack(turned, 1), directions[:, VECTOR:]], 1)


def entries_of(directions: Tensor) -> Tensor:
    """(N, 2 + K) directions of one type -> (`ENTRIES`, 2 + K): sorted by angle, evenly repeated or left out.

    Each kind has as many as it has photographs of all, but one at least.
    """
    if directions.shape[1] > VECTOR:
        of_kinds = [directions[directions[:, kind] == 1] for kind in range(VECTOR, directions.shape[1])]
        of_kinds = [each for each in of_kinds if len(each)]
        numbers = _shared_out([len(each) for each in of_kinds])
        return _by_angle(torch.cat([_evenly(*each) for each in zip(of_kinds, numbers, strict=True)]))
    return _evenly(directions, ENTRIES)


def _evenly(directions: Tensor, count: int) -> Tensor:
    """So many of them, sorted by angle."""
    ordered = _by_angle(directions)
    return ordered[(torch.arange(count) * len(ordered) + len(ordered) // 2) // count]


def _by_angle(directions: Tensor) -> Tensor:
    return directions[(_angles(directions) % WHOLE).argsort(stable=True)]


def _shared_out(counts: Sequence[int]) -> list[int]:
    """`ENTRIES` in the ratio of the counts, rounded so that they add up, each at least 1."""
    exact = [ENTRIES * each / sum(counts) for each in counts]
    numbers = [max(1, int(each)) for each in exact]
    while missing := ENTRIES - sum(numbers):
        step = 1 if missing > 0 else -1
        some = [index for index, each in enumerate(numbers) if each + step > 0]
        numbers[max(some, key=lambda index: step * (exact[index] - numbers[index]))] += step
    return numbers


def draw_directions(entries: Tensor, latents: Tensor, angle: Tensor | None) -> Tensor:
    """Draws directions: each from those of the photographs, or, where none lies in the range asked for, evenly in it.

    Args:
        entries: (B, `ENTRIES`, 2 + K), of each image's type.
        latents: (B, `DRAWN_BY`) float32, standard normal. One chooses the entry, the other turns it a little.
        angle: (B, 2) degrees, lowest and highest; the range wraps round where the lowest is the greater. From 0 to 180,
            or None: every angle.

    Returns:
        (B, 2 + K). Where none lies in the range, the kind is that of any photograph.
    """
    if angle is None:  # no tensor of numbers: a CUDA graph cannot record its copy
        low, width = torch.zeros_like(latents[:, :1]), torch.full_like(latents[:, :1], WHOLE)
    else:
        low, width = angle[:, :1], angle[:, 1:] - angle[:, :1]
        width = torch.where(width < 0, width + WHOLE, width)
    beyond = (_angles(entries) - low) % WHOLE  # of each entry, from the lowest angle on
    inside = (beyond <= width) | (width >= WHOLE)
    counts = inside.sum(1, keepdim=True)
    uniform = torch.special.ndtr(latents[:, :1])
    wanted = (uniform * counts).long().clamp_max(counts - 1)
    chosen = (inside.cumsum(1) <= wanted).sum(1, keepdim=True).clamp_max(ENTRIES - 1)
    strengths = entries[..., :VECTOR].norm(dim=2)
    found = counts > 0
    strength = torch.where(found, strengths.gather(1, chosen), strengths.sort(1).values[:, int(STRONG * ENTRIES), None])
    turned = beyond.gather(1, chosen) + VICINITY * latents[:, 1:]
    turned = torch.where(width >= WHOLE, turned, turned.clamp_min(0).minimum(width))
    vectors = _vectors((low + torch.where(found, turned, uniform * width)).squeeze(1), strength.squeeze(1))
    anyone = (uniform * ENTRIES).long().clamp_max(ENTRIES - 1)
    kinds = entries[..., VECTOR:].take_along_dim(torch.where(found, chosen, anyone)[:, :, None], 1).squeeze(1)
    return torch.cat([vectors, kinds], 1)


def shares_by_angle(directions: Tensor, bins: int = 6) -> list[float]:
    """The share of directions in equal ranges of the angle, the first from 0 degrees on."""
    places = (_angles(directions) % WHOLE * bins / WHOLE).long().clamp_max(bins - 1)
    counts = torch.bincount(places, minlength=bins)
    return [round(each / len(directions), 3) for each in counts.tolist()]


def _angles(directions: Tensor) -> Tensor:
    """(..., 2) -> degrees, -90 ... 90."""
    return torch.atan2(directions[..., 1], directions[..., 0]) * (90 / math.pi)


def _vectors(angles: Tensor, strengths: Tensor) -> Tensor:
    """(N,) degrees and (N,) strengths -> (N, 2)."""
    doubled = torch.deg2rad(2 * angles)
    return torch.stack([strengths * doubled.cos(), strengths * doubled.sin()], 1)
