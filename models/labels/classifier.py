"""The label network: feature maps of every resolution to the probability that a pixel shows a defect."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN = 32  # channels
SLOPE = 0.2  # of the leaky ReLUs, for negative values
LEAST_SPREAD = 1e-3  # of a channel of the feature maps, which is divided by it


class PixelClassifier(nn.Module):
    """A layer of 1x1 convolutions on each map, two of 3x3 on their sum, as in RepurposeGANs, and a last one of 1x1.

    Without the neighbours that the 3x3 convolutions see it finds less, see docs/labels.md. Enlarging a map and mixing
    its channels can be exchanged, so the first layer works on each map at its own size.

    Args:
        widths: channels of the feature maps, from coarse to fine.
        channels: of the images.
        types: number of defect types.
    """

    def __init__(self, widths: Sequence[int], channels: int, types: int) -> None:
        super().__init__()
        self.of_maps = nn.ModuleList(nn.Conv2d(each, HIDDEN, 1, bias=False) for each in widths)
        self.of_image = nn.Conv2d(channels, HIDDEN, 1, bias=False)
        self.of_type = nn.Embedding(types, HIDDEN)
        self.near = nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1)
        self.far = nn.Conv2d(HIDDEN, HIDDEN, 3, padding=2, dilation=2)
        self.last = nn.Conv2d(HIDDEN, 1, 1)
        nn.init.zeros_(self.of_type.weight)
        for number, each in enumerate(widths):
            self.register_buffer(f"mean_{number}", torch.zeros(each))
            self.register_buffer(f"spread_{number}", torch.ones(each))

    def scale(self, maps: Sequence[Tensor]) -> None:
        """Has each channel of such feature maps, (N, W, S, S), enter with mean 0 and spread 1."""
        for number, each in enumerate(maps):
            self.get_buffer(f"mean_{number}").copy_(each.mean((0, 2, 3)))
            self.get_buffer(f"spread_{number}").copy_(each.std((0, 2, 3)).clamp_min(LEAST_SPREAD))

    def forward(self, maps: Sequence[Tensor], images: Tensor, type_index: Tensor) -> Tensor:
        """(B, W, S, S) each, (B, C, side, side) from -1 to 1, (B,) int64 -> logits, (B, side, side)."""
        hidden: Tensor = self.of_image(images) + self.of_type(type_index)[:, :, None, None]
        for number, (layer, each) in enumerate(zip(self.of_maps, maps, strict=True)):
            mean, spread = self.get_buffer(f"mean_{number}"), self.get_buffer(f"spread_{number}")
            mixed = layer((each - mean[:, None, None]) / spread[:, None, None])
            hidden = hidden + F.interpolate(mixed, images.shape[-2:], mode="bilinear", align_corners=False)
        for convolution in (self.near, self.far):
            hidden = convolution(F.leaky_relu(hidden, SLOPE))
        hidden = F.leaky_relu(hidden, SLOPE)
        logits: Tensor = self.last(hidden).squeeze(1)
        return logits
