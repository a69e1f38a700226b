"""A convolution with spectral normalisation that divides the output instead of the kernel.

Miyato et al. 2018, arXiv:1802.05957, algorithm 1: the kernel, as a matrix, is divided by an estimate of its largest
singular value, which one step of the power iteration improves before each training pass. A convolution is linear, so
dividing its output is equivalent. DCGAN's kernels are many times larger than its feature maps, so it is also less work,
forward and backward.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 4  # of the kernel, in pixels
SMALLEST_NORM = 1e-12
FIRST_ITERATIONS = 15


class SpectralConvolution(nn.Module):
    """A 4x4 convolution without bias whose kernel, as a matrix (outputs, inputs x 4 x 4), has spectral norm 1.

    Attributes:
        weight: (outputs, inputs, 4, 4), not normalised.
        left, right: (outputs,) and (4 x 4 x inputs,), the estimated singular vectors.
    """

    left: Tensor
    right: Tensor

    def __init__(self, inputs: int, outputs: int, stride: int, padding: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.empty(outputs, inputs, SIDE, SIDE))
        nn.init.normal_(self.weight, 0.0, 0.02)
        self.register_buffer("left", _normalised(torch.randn(outputs)))
        self.register_buffer("right", _normalised(torch.randn(SIDE * SIDE * inputs)))
        for _ in range(FIRST_ITERATIONS):
            self._improve()
        self.register_load_state_dict_pre_hook(_rename_older_keys)  # type: ignore[no-untyped-call]

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W')."""
        with torch.autocast(features.device.type, enabled=False):  # the estimate is float32 in every precision
            if self.training:
                self._improve()
            # Copies: the next pass changes the vectors before this one's gradient is computed.
            norm = torch.dot(self.left.clone(), torch.mv(self._matrix(), self.right.clone()))
        outputs: Tensor = F.conv2d(features, self.weight, None, self.stride, self.padding) / norm
        return outputs

    @torch.no_grad()
    def _improve(self) -> None:
        matrix = self._matrix()
        self.left.copy_(_normalised(torch.mv(matrix, self.right)))
        self.right.copy_(_normalised(torch.mv(matrix.T, self.left)))

    def _matrix(self) -> Tensor:
        """The kernel in channels-last order, its memory layout in training, so that nothing is copied."""
        return self.weight.permute(0, 2, 3, 1).flatten(1)


def _normalised(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0, eps=SMALLEST_NORM)


def _rename_older_keys(module: nn.Module, state: dict[str, Any], prefix: str, *others: object) -> None:
    """Reads states of PyTorch's own spectral normalisation, which earlier releases used."""
    older = f"{prefix}parametrizations.weight"
    if f"{older}.original" not in state:
        return
    kernel = state.pop(f"{older}.original")
    state[f"{prefix}weight"] = kernel
    state[f"{prefix}left"] = state.pop(f"{older}.0._u")
    state[f"{prefix}right"] = state.pop(f"{older}.0._v").view(kernel.shape[1:]).permute(1, 2, 0).flatten()
