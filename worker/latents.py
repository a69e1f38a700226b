"""Latents from addresses: counter-based, on the CPU, so that they depend on no device, no batch and no worker."""

import hashlib

import numpy as np
import torch
from torch import Tensor


def latent(seed: int, defect_type: str, size: int) -> Tensor:
    """Standard normal numbers of one image's address: (size,) float32.

    Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") keyed by the seed and the type gives raw
    64-bit words; Box and Muller's transform (1958) in float64 makes them normal. Both are written down here instead of
    taken from a library's normal sampler, whose algorithm may change with its version.
    """
    type_key = int.from_bytes(hashlib.sha256(defect_type.encode()).digest()[:8], "little")
    pairs = -(-size // 2)
    words = np.random.Philox(key=np.array([seed, type_key], dtype=np.uint64)).random_raw(2 * pairs)
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # in (0, 1), never 0
    radius = np.sqrt(-2.0 * np.log(uniform[:pairs]))
    angle = 2.0 * np.pi * uniform[pairs:]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size]
    return torch.from_numpy(normal.astype(np.float32))
