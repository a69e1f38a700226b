"""The discriminator's gradients, those of both gradient penalties included, without differentiating twice.

R1 and R2 penalise ||d logit / d image||^2, so their gradient is a second derivative, and automatic differentiation pays
for it with more than three plain steps. A network of convolutions and leaky rectifiers is linear around almost every
image x: logit(x + v) = logit(x) + <v, J(x)>, J = d logit / d image. Hence with v = J(x), held fixed,

    gradient of ||J(x)||^2 / 2  =  gradient of <v, J(x)>,

and <v, J(x)> is what the network makes of v when each rectifier takes the slope that it had for x, without biases. Both
have the same derivative by a layer's output, c; only what enters the layer differs: h for the logit of x, t for v. So
for s logit(x) + <v, J(x)> a layer's weights get c (x) (s h + t): one product for the loss and the penalties pipeline.
All in all four convolutions a layer, where a step without penalties takes three.

It is the same mathematics as differentiating twice, and equal to it but for rounding; and kernels and compilers without
a second derivative will do. R1 and R2: Mescheder et al. 2018, arXiv:1801.04406, eq. 9 and 10; that neither may be
missing: R3GAN, arXiv:2501.05441, section 3.1.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.presets.fewshot.networks import SLOPE, Discriminator, one_hot

_convolution_backward = torch.ops.aten.convolution_backward.default
_rectifier_backward = torch.ops.aten.leaky_relu_backward.default


class DiscriminatorPass:
    """One pass of images through a discriminator, forth, back, and forth again.

    Args:
        network: whose gradients are wanted.
        images: (B, C, H, W) float32, as the network sees them.
        type_index: (B,) int64.

    Attributes:
        logits: (B,) float32, without a gradient.
    """

    @torch.no_grad()
    def __init__(self, network: Discriminator, images: Tensor, type_index: Tensor) -> None:
        self.network, self.type_index = network, type_index
        self._convolutions = cast(list[nn.Conv2d], list(network.convolutions))
        self._heads = network.heads(type_index)
        self._features = [images]  # what enters each convolution, and what leaves the last
        for each in self._convolutions:
            self._features.append(F.leaky_relu(each(self._features[-1]), SLOPE))
        self.logits = (self._features[-1].flatten(1) * self._heads).sum(1) + network.head.bias
        self._derivatives: list[Tensor] = []  # of the logits by what leaves each convolution

    @torch.no_grad()
    def image_gradients(self) -> Tensor:
        """J: d logit / d image of each image, (B, C, H, W)."""
        derivative = self._heads[:, :, None, None]
        for convolution, entering, leaving in zip(
            self._convolutions[::-1], self._features[-2::-1], self._features[:0:-1], strict=True
        ):
            derivative = _through_rectifier(derivative, leaving)
            self._derivatives.insert(0, derivative)
            derivative = _backward(convolution, derivative, entering, of_weight=False)
        return derivative

    @torch.no_grad()
    def set_gradients(self, weights: Tensor, directions: Tensor) -> None:
        """Sets the parameters' gradients to those of: sum over images of s logit(image) + <v, J(image)>.

        Call `image_gradients` before.

        Args:
            weights: s, (B,): the loss's derivative by each logit.
            directions: v, (B, C, H, W): for the penalty gamma / 2 ||J||^2, gamma times `image_gradients`.
        """
        scale = weights[:, None, None, None]
        for convolution, derivative, entering, leaving in zip(
            self._convolutions, self._derivatives, self._features[:-1], self._features[1:], strict=True
        ):
            # Its own value at the image and the direction's: s h + t.
            told = torch.addcmul(directions, scale, entering)
            convolution.weight.grad = _backward(convolution, derivative, told, of_weight=True)
            assert convolution.bias is not None
            convolution.bias.grad = weights @ derivative.sum((2, 3))
            moved = F.conv2d(directions, convolution.weight, None, convolution.stride, convolution.padding)
            directions = _through_rectifier(moved, leaving)
        told = torch.addcmul(directions, scale, self._features[-1]).flatten(1)
        self._set_head_gradients(weights, told)

    def _set_head_gradients(self, weights: Tensor, told: Tensor) -> None:
        network = self.network
        network.head.weight.grad = told.sum(0, keepdim=True)
        network.head.bias.grad = weights.sum()[None]
        types = one_hot(self.type_index, network.types, told.dtype)
        network.heads_by_type.weight.grad = network.conditioning * (told.T @ types)


def _through_rectifier(values: Tensor, leaving: Tensor) -> Tensor:
    """Values times the slope that the rectifier had; its output's sign is its input's."""
    return cast(Tensor, _rectifier_backward(values, leaving, SLOPE, True))


def _backward(convolution: nn.Conv2d, derivative: Tensor, entering: Tensor, of_weight: bool) -> Tensor:
    """The derivative by a convolution's weight, or by what enters it."""
    gradients = _convolution_backward(
        derivative,
        entering,
        convolution.weight,
        None,
        convolution.stride,
        convolution.padding,
        convolution.dilation,
        False,
        [0, 0],
        convolution.groups,
        [not of_weight, of_weight, False],
    )
    return cast(Tensor, gradients[1 if of_weight else 0])
