"""The preset `double`: `fewshot` in double precision, in which rounding is too small for Adam to make steps of.

In single precision, gradients that are zero but for rounding (of the discriminator's last biases) become steps of full
size, so that two runs whose sums have another order drift apart from the first step on.
"""

import torch

from flawsmith.models.presets.builder import PresetBuilder
from flawsmith.models.presets.fewshot import builder


def build_trainer(*arguments, **named):
    """Sets torch's default for the process, which whoever calls this restores."""
    torch.set_default_dtype(torch.float64)
    return builder.build_trainer(*arguments, **named)


BUILDER = PresetBuilder(
    "double", build_trainer, builder.build_generator, builder.held_out, follows_rules=True, learns_masks=True
)
