"""Gradients of the discriminator's loss and of both gradient penalties, without differentiating twice.

R1 and R2 penalise ||d logit / d image||^2, so their gradient is a second derivative, which costs automatic
differentiation more than three plain steps. A network of convolutions and leaky ReLUs is linear around almost every
image x: logit(x + v) = logit(x) + <v, J(x)>, J = d logit / d image. Hence with v = J(x), held fixed,

    gradient of ||J(x)||^2 / 2  =  gradient of <v, J(x)>,

and <v, J(x)> is the network's output for v if each ReLU keeps the slope that it had for x and biases are left out. Both
terms have the same derivative by a layer's output, c; only the layer's input differs: h for the logit of x, t for v. So
for s logit(x) + <v, J(x)> the gradient of a layer's weights is c (x) (s h + t): one product for loss and penalties
together. That makes four convolutions a layer, where a step without penalties takes three.

The result equals differentiating twice up to rounding, and needs no second derivatives of kernels or compilers. R1 and
R2: Mescheder et al. 2018, arXiv:1801.04406, eq. 9 and 10. Both are needed: R3GAN, arXiv:2501.05441, section 3.1.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.presets.fewshot.blocks import SLOPE
from flawsmith.models.presets.fewshot.directions import direction_features
from flawsmith.models.presets.fewshot.networks import Discriminator, one_hot

_convolution_backward = torch.ops.aten.convolution_backward.default
_relu_backward = torch.ops.aten.leaky_relu_backward.default


class DiscriminatorPass:
    """Passes images through a discriminator: forward, backward, and forward again.

    Args:
        network: its parameters receive the gradients.
        images: (B, C, H, W) float32, the network's input.
        type_index: (B,) int64.
        directions: (B, 2 + K) float32, of a network with direction.

    Attributes:
        logits: (B,) float32, without a gradient.
    """

    @torch.no_grad()
    def __init__(
        self, network: Discriminator, images: Tensor, type_index: Tensor, directions: Tensor | None = None
    ) -> None:
        self.network, self.type_index, self.directions = network, type_index, directions
        self._convolutions = cast(list[nn.Conv2d], list(network.convolutions))
        self._heads = network.heads(type_index, directions)
        self._features = [network.seen(images)]  # the input of each convolution, and the output of the last
        for each in self._convolutions:
            self._features.append(F.leaky_relu(each(self._features[-1]), SLOPE))
        self.logits = (self._features[-1].flatten(1) * self._heads).sum(1) + network.head.bias
        self._derivatives: list[Tensor] = []  # of the logits by the output of each convolution

    @torch.no_grad()
    def image_gradients(self) -> Tensor:
        """J: d logit / d image of each image, (B, C, H, W)."""
        derivative = self._heads[:, :, None, None]
        for convolution, inputs, outputs in zip(
            self._convolutions[::-1], self._features[-2::-1], self._features[:0:-1], strict=True
        ):
            derivative = _through_relu(derivative, outputs)
            self._derivatives.insert(0, derivative)
            derivative = _backward(convolution, derivative, inputs, of_weight=False)
        return self.network.unseen(derivative)

    @torch.no_grad()
    def set_gradients(self, weights: Tensor, directions: Tensor) -> None:
        """Sets the parameters' gradients to those of the sum over images of s logit(image) + <v, J(image)>.

        Call `image_gradients` first.

        Args:
            weights: s, (B,): the loss's derivative by each logit.
            directions: v, (B, C, H, W): for the penalty gamma / 2 ||J||^2, gamma times `image_gradients`.
        """
        scale, directions = weights[:, None, None, None], self.network.seen(directions)
        for convolution, derivative, inputs, outputs in zip(
            self._convolutions, self._derivatives, self._features[:-1], self._features[1:], strict=True
        ):
            combined = torch.addcmul(directions, scale, inputs)  # s h + t
            convolution.weight.grad = _backward(convolution, derivative, combined, of_weight=True)
            assert convolution.bias is not None
            convolution.bias.grad = weights @ derivative.sum((2, 3))
            outputs_of_directions = F.conv2d(
                directions, convolution.weight, None, convolution.stride, convolution.padding
            )
            directions = _through_relu(outputs_of_directions, outputs)
        combined = torch.addcmul(directions, scale, self._features[-1]).flatten(1)
        self._set_head_gradients(weights, combined)

    def _set_head_gradients(self, weights: Tensor, combined: Tensor) -> None:
        network = self.network
        network.head.weight.grad = combined.sum(0, keepdim=True)
        network.head.bias.grad = weights.sum()[None]
        types = one_hot(self.type_index, network.types, combined.dtype, self.directions)
        network.heads_by_type.weight.grad = network.conditioning * (combined.T @ types)
        if self.directions is not None:
            network.heads_by_direction.weight.grad = combined.T @ direction_features(self.directions)


def _through_relu(values: Tensor, outputs: Tensor) -> Tensor:
    """Values times the slope that the ReLU had; its output has the sign of its input."""
    return cast(Tensor, _relu_backward(values, outputs, SLOPE, True))


def _backward(convolution: nn.Conv2d, derivative: Tensor, inputs: Tensor, of_weight: bool) -> Tensor:
    """The derivative by a convolution's weight, or by its input."""
    gradients = _convolution_backward(
        derivative,
        inputs,
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
