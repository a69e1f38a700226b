"""Negative controls: photographs made worse, each in one known way. A measure that misses one is blind to it.

All of them are made from the user's own photographs, and their strength from the photographs' own contrast.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.quality.colors import Tint
from flawsmith.models.quality.random_features import CombinedFeatures
from flawsmith.models.quality.steps import Steps, in_parts, result_of
from flawsmith.models.quality.wiping import blurred, filled, median_filtered

REMOVED = "defects removed"
SMOOTHED = "defects smoothed away"
BLURS = {"blurred 1 px": 1.0, "blurred 2 px": 2.0, "blurred 4 px": 4.0}
NOISY = "noise added"
SHUFFLED = "patches shuffled"
SHIFTED = "gray values shifted"
HALF = "half of the modes missing"
STATIC = "nothing but noise"
WARPS = {"warped 0.25 px": 0.25, "warped 1 px": 1.0, "warped 2 px": 2.0}
"""Lines waver, and nothing else changes: only spaces that claim to see one of them are measured against them."""
TINTED, BLOTCHED, GARISH = "tint added", "colored blotches added", "glaring tint added"
COLORED = {TINTED: 3.0, BLOTCHED: 3.0, GARISH: 8.0}
"""Of photographs in color: how far they are moved from their tint, in units of `colors.Tint`."""
APART = (frozenset(WARPS), frozenset(COLORED))
"""Kinds of controls that a space is measured against only where it claims to see one of the kind."""

CELLS = 4  # a side, of the patches that are shuffled
WAVES = (8.0, 16.0)  # shortest and longest wavelength of a warp, in pixels
BLOTCH = 1 / 8  # standard deviation of the mean that makes colored blotches of noise, as a share of the side
NOISE = 0.5  # standard deviation of added noise, as a share of that of an image's pixels


def controls(images: Tensor, masks: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """The photographs made worse, by what was done: row i of each is made from photograph i.

    `HALF` is no picture made worse but a choice of pictures, see `modes`.

    Args:
        images: (N, C, side, side) uint8.
        masks: the pixels that show a defect, (N, side, side) bool; see `wiping.masks_of`.
        seed: of noise and shuffling.

    Returns:
        (N, C, side, side) uint8 each.
    """
    return result_of(making(images, masks, seed))


def making(images: Tensor, masks: Tensor, seed: int = 0) -> Steps[dict[str, Tensor]]:
    """`controls` in steps."""
    made = {
        REMOVED: (yield from in_parts(images, lambda part: filled(images[part], masks[part], seed))),
        SMOOTHED: (yield from in_parts(images, lambda part: median_filtered(images[part]))),
    }
    for name, worse in _made_one_by_one(images, seed):
        made[name] = worse
        yield
    return made


def _made_one_by_one(images: Tensor, seed: int) -> Iterator[tuple[str, Tensor]]:
    random = torch.Generator().manual_seed(seed)
    for name, pixels in BLURS.items():
        yield name, _rounded(blurred(images.float(), pixels))
    yield NOISY, noise_added(images, random)
    yield SHUFFLED, patches_shuffled(images, random)
    yield SHIFTED, _rounded(images.float() + max(1.0, images.float().std().item()))
    yield STATIC, static(images, random)
    for name, pixels in WARPS.items():
        yield name, warped(images, pixels, random)
    if images.shape[1] == 3:
        yield from _recolored(images, seed)


def _recolored(images: Tensor, seed: int) -> Iterator[tuple[str, Tensor]]:
    """Photographs in color with another tint, each in a direction of its own, or with blotches of other tints."""
    random, tint = torch.Generator().manual_seed(seed), Tint(images)
    count, _, side, _ = images.shape
    for name, strength in COLORED.items():
        if name == BLOTCHED:
            smooth = blurred(torch.randn(count, 2, side, side, generator=random, dtype=torch.float32), BLOTCH * side)
            by = smooth / smooth.square().mean((1, 2, 3), keepdim=True).sqrt() / math.sqrt(2)
        else:
            angle = 2 * math.pi * torch.rand(count, 1, 1, generator=random, dtype=torch.float32)
            by = torch.stack([torch.cos(angle), torch.sin(angle)], 1).expand(-1, -1, side, side)
        yield name, _rounded(tint.moved(images, strength * by))


def contrast(images: Tensor) -> float:
    """The mean standard deviation of an image's pixels, in gray levels; at least 1."""
    return max(1.0, images.float().flatten(1).std(1).mean().item())


def noise_added(images: Tensor, random: torch.Generator) -> Tensor:
    """Images with Gaussian noise of `NOISE` of their contrast."""
    return _rounded(images.float() + NOISE * contrast(images) * torch.randn(images.shape, generator=random))


def patches_shuffled(images: Tensor, random: torch.Generator) -> Tensor:
    """Images cut into `CELLS` x `CELLS` patches, put together in another order; each in its own."""
    count, channels, side, _ = images.shape
    cell = side // CELLS
    patches = images.unfold(2, cell, cell).unfold(3, cell, cell)  # (N, C, cells, cells, cell, cell)
    rows = patches.shape[2]
    flat = patches.permute(0, 2, 3, 1, 4, 5).reshape(count, rows * rows, channels, cell, cell)
    orders = torch.stack([torch.randperm(rows * rows, generator=random) for _ in range(count)])
    mixed = flat[torch.arange(count)[:, None], orders].reshape(count, rows, rows, channels, cell, cell)
    shuffled = images.clone()
    shuffled[:, :, : rows * cell, : rows * cell] = mixed.permute(0, 3, 1, 4, 2, 5).reshape(
        count, channels, rows * cell, rows * cell
    )
    return shuffled


def warped(images: Tensor, amplitude: float, random: torch.Generator) -> Tensor:
    """Images whose rows and columns are displaced along themselves by a sine of this amplitude in pixels.

    Wavelength, between `WAVES`, and phase are random for each image and direction.
    """
    count, side = len(images), images.shape[-1]
    shortest, longest = WAVES
    length = shortest + (longest - shortest) * torch.rand(count, 2, 1, generator=random)
    phase = 2 * math.pi * torch.rand(count, 2, 1, generator=random)
    places = torch.arange(side).float()
    moved = amplitude * torch.sin(2 * math.pi * places / length + phase)
    across = (places + moved[:, 0, :, None]).expand(-1, side, side)
    down = (places[:, None] + moved[:, 1, None, :]).expand(-1, side, side)
    grid = torch.stack([across, down], 3) * 2 / (side - 1) - 1
    return _rounded(F.grid_sample(images.float(), grid, "bicubic", "reflection", align_corners=True))


def static(images: Tensor, random: torch.Generator) -> Tensor:
    """Noise with the photographs' own gray values: every pixel comes from another place of another photograph."""
    flat = images.transpose(0, 1).flatten(1)
    order = torch.randint(flat.shape[1], (images[:, 0].numel(),), generator=random)
    return flat[:, order].reshape(images.transpose(0, 1).shape).transpose(0, 1).contiguous()


def modes(images: Tensor) -> Tensor:
    """On which side of the photographs' main direction of variation each one is, half of them each: (N,) bool."""
    features = CombinedFeatures(images)(images)
    centred = features - features.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    along: Tensor = centred @ directions[0]
    return along.gt(along.median())


def _rounded(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).byte()
