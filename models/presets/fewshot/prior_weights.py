"""Which weights of `fewshot`'s networks a prior has, and how networks of another shape take them over."""

from collections.abc import Mapping

import torch
from torch import Tensor

from flawsmith.models.presets.fewshot.haar import BANDS
from flawsmith.models.presets.fewshot.networks import Discriminator, Generator
from flawsmith.models.training.trainer import Networks

OF_PHOTOGRAPHS = ("embedding.weight", "heads_by_type.weight", "conditioning", "directions")
"""What belongs to a network's own types and pictures, by the names of the tensors."""

MASK_HEAD = "mask_head."  # of a generator, the beginning of its tensors' names
FIRST_CONVOLUTION = "convolutions.0.weight"  # of a discriminator
Weights = Mapping[str, Tensor]


def shared_weights(networks: Networks) -> Networks:
    """The weights of both networks without those in `OF_PHOTOGRAPHS`."""
    return {
        network: {name: each for name, each in weights.items() if name not in OF_PHOTOGRAPHS}
        for network, weights in networks.items()
    }


def with_own_masks(network: Generator | Discriminator, weights: Weights) -> Weights:
    """Weights for a network that knows masks: what the given ones lack because theirs knew none is the network's own.

    Weights of networks alike stay as they are.
    """
    if not network.masks:
        return weights
    own = network.state_dict()
    if isinstance(network, Generator):
        return {name: each for name, each in own.items() if name.startswith(MASK_HEAD)} | dict(weights)
    channels, bands = network.of_image, BANDS if network.wavelet else 1
    theirs, wide = weights[FIRST_CONVOLUTION], own[FIRST_CONVOLUTION].clone(memory_format=torch.contiguous_format)
    if theirs.shape[1] != channels * bands:
        return weights
    wide.unflatten(1, (bands, -1))[:, :, :channels] = theirs.unflatten(1, (bands, -1))
    return {**weights, FIRST_CONVOLUTION: wide}


def fitted(own: Weights, prior: Weights) -> tuple[dict[str, Tensor], list[str]]:
    """A network's own weights, replaced by a prior's where these fit; and the names of those that do not.

    Weights for the channels of a gray image are repeated for those of a colour image. Those that read an image are
    divided by their number, so that a gray image in colour gives the same features.
    """
    weights, left = dict(own), []
    for name, theirs in prior.items():
        if name not in own:
            left.append(name)
        elif own[name].shape == theirs.shape:
            weights[name] = theirs
        elif (repeated := _repeated(theirs, own[name])) is not None:
            weights[name] = repeated
        else:
            left.append(name)
    return weights, left


def _repeated(gray: Tensor, colour: Tensor) -> Tensor | None:
    """A gray image's weights in the shape of a colour image's; None if the shapes are not those of the two."""
    if gray.ndim != colour.ndim:
        return None
    times = [theirs // ours if theirs % ours == 0 else 0 for ours, theirs in zip(gray.shape, colour.shape, strict=True)]
    if sorted(times) != [1] * (gray.ndim - 1) + [3]:
        return None
    dimension = times.index(3)
    repeated = gray.repeat_interleave(3, dimension)
    return repeated / 3 if dimension == 1 else repeated
