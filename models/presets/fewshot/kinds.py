"""Kinds of photographs within a defect type, such as those with a flaked corner.

A GAN leaves out what is rare. Where both networks are told the kind of each photograph, the generator has to make each
kind, and images are of the kinds as often as photographs are: self-conditioned GANs, Liu et al. 2020, arXiv:2006.10728.
There, kinds are clusters of the discriminator's features, found again and again during a run; here, of random features,
found once before it.
"""

import numpy as np
import torch
from scipy.cluster import vq
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.quality.random_features import random_responses, weighted

COMPARED_SIDE = 64  # pixels; larger photographs are made smaller
COMPARED_AT_ONCE = 64
DIMENSIONS = 12  # principal ones, in which photographs are clustered
FOR_EACH = 20  # photographs of a type for each of its kinds; networks that know more may be trained on few photographs
FEWEST = 5  # photographs of a kind; fewer belong to the nearest other kind
STARTS = 20  # of the clustering, of which the best is taken


def kinds_of(images: Tensor, kinds: int) -> Tensor:
    """Divides photographs of one type into kinds, by the largest and the typical response of random filters.

    Maxima feel what is small or in one place only (`spaces.max_pooled`). k-means from several starts; the same images
    give the same kinds, on another kind of processor but for rounding.

    Args:
        images: (N, C, side, side) uint8.
        kinds: at most; fewer where there are not so many clusters of `FEWEST` photographs, or not `FOR_EACH` for each.

    Returns:
        (N,) int64 on the CPU, the darkest kind first.
    """
    kinds = min(kinds, len(images) // FOR_EACH)
    if kinds <= 1:
        return torch.zeros(len(images), dtype=torch.int64)
    images = images.cpu()
    nearest = _clusters(_principal(_features(images)), kinds)
    gray = images.flatten(1).float().mean(1)
    means = torch.stack([gray[nearest == each].mean() for each in nearest.unique()])
    return means.argsort().argsort()[nearest]


def _clusters(places: Tensor, count: int) -> Tensor:
    """At most so many clusters of (N, D) float64, each of at least `FEWEST`: (N,) int64, from 0 on."""
    centres, _ = vq.kmeans(places.numpy(), count, iter=STARTS, rng=0)
    while True:
        nearest = torch.from_numpy(vq.vq(places.numpy(), centres)[0]).long()
        sizes = torch.bincount(nearest, minlength=len(centres))
        if len(centres) == 1 or sizes.min() >= FEWEST:
            return nearest
        centres = np.delete(centres, int(sizes.argmin()), axis=0)


def _features(images: Tensor) -> Tensor:
    """(N, C, side, side) uint8 -> (N, D) float32, standardised."""
    responses = random_responses(images.shape[1], 0)
    found = []
    for some in images.split(COMPARED_AT_ONCE):
        small = F.adaptive_avg_pool2d(some.float(), min(some.shape[-1], COMPARED_SIDE)).round().byte()
        scales = [each.flatten(2) for each in responses(small)]
        found.append(torch.cat([each.amax(2) for each in scales] + [each.std(2) for each in scales], 1))
    features = torch.cat(found)
    return weighted(features, features)


def _principal(features: Tensor) -> Tensor:
    """(N, D) -> (N, at most `DIMENSIONS`) float64, by principal component analysis."""
    centred = features.double() - features.double().mean(0)
    _, axes = torch.linalg.eigh(centred.T @ centred)
    places: Tensor = centred @ axes[:, -DIMENSIONS:]
    return places
