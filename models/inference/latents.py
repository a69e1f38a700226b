"""Latents from image addresses: computed on the CPU from seed and type alone, the same for every device and batch."""

import hashlib

import numpy as np
import torch
from torch import Tensor


def latent(seed: int, defect_type: str, size: int, candidate: int = 0) -> Tensor:
    """The latent of one image address: (size,) float32, standard normal.

    Candidates 1, 2, … are further latents of the same seed and type, each from another place of the counter.

    Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), keyed by seed and type, gives 64-bit
    words; the transform of Box and Muller (1958), in float64, makes them normal. The transform is written out here
    because a library's normal sampler may change with its version.
    """
    type_key = int.from_bytes(hashlib.sha256(defect_type.encode()).digest()[:8], "little")
    pairs = -(-size // 2)
    key, counter = np.array([seed, type_key], np.uint64), np.array([0, 0, 0, candidate], np.uint64)
    words = np.random.Philox(key=key, counter=counter).random_raw(2 * pairs)
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # in (0, 1), never 0
    radius = np.sqrt(-2.0 * np.log(uniform[:pairs]))
    angle = 2.0 * np.pi * uniform[pairs:]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size]
    return torch.from_numpy(normal.astype(np.float32))
